"""The official PSICOV files, against a reading of their own written as loops over channels and pixels."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from official_files import psicov as written

from pare_bench.builtin.suites.nas360 import psicov_files
from pare_bench.builtin.suites.nas360.psicov import Psicov
from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.task import Split, Splits, Track
from pare_bench.datasets.official import OfficialFiles
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.metrics import mae_8
from pare_bench.scoring.released_metrics import mae_8_released
from pare_bench.seeds import stream


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    written.write(folder)
    return folder


@pytest.fixture
def copy(root, tmp_path):
    shutil.copytree(root / "psicov", tmp_path / "psicov")
    return tmp_path


def read(root: Path, track: Track = "clean", canvas: int = 128) -> Splits:
    return Psicov(Psicov.Params(canvas=canvas)).official(OfficialFiles(root, "psicov", Psicov.official_files), track)


def expected(root: Path, part: str, name: str, canvas: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Inputs, targets and length of one protein."""
    features = pickle.loads((root / "psicov" / part / "features" / f"{name}.pkl").read_bytes())  # noqa: S301 - written above
    size, _, distance = np.load(root / "psicov" / part / "distance" / f"{name}-cb.npy", allow_pickle=True)
    start, length = 0, min(size, canvas - 10)
    if size > length:
        start = int(stream("psicov", "window", name, length).integers(0, size - length + 1))
    tracks = [features["ss"][row] for row in range(3)] + [features["pssm"][:, column] for column in range(22)] + [features["sa"], features["entropy"]]
    inputs, targets = np.zeros((57, canvas, canvas), np.float32), np.full((canvas, canvas), 100, np.float32)
    for i in range(length):
        for j in range(length):
            for number, track in enumerate(tracks):
                inputs[2 * number, 5 + i, 5 + j] = track[start + j]
                inputs[2 * number + 1, 5 + i, 5 + j] = track[start + i]
            for number, kind in enumerate(("ccmpred", "freecon", "potential")):
                inputs[54 + number, 5 + i, 5 + j] = features[kind][start + i, start + j]
            targets[5 + i, 5 + j] = max(1, distance[start + i, start + j])
    first, last = 5, 5 + length - 1
    for place in range(first, last + 1):
        before = targets[place, place - 1] if place > first else targets[place, place + 1]
        after = targets[place, place + 1] if place < last else targets[place, place - 1]
        targets[place, place] = (float(before) + float(after)) / 2
    return inputs, targets, length


def assert_same(split: Split, root: Path, part: str, names: list[str], canvas: int, checked: range) -> None:
    assert isinstance(split.inputs, LazyExamples)
    assert isinstance(split.targets, LazyExamples)
    assert split.inputs.shape == (len(names), 57, canvas, canvas)
    assert split.targets.shape == (len(names), canvas, canvas)
    assert split.inputs.dtype == split.targets.dtype == np.float32
    assert split.extras["lengths"].dtype == np.int64
    for index in checked:
        inputs, targets, length = expected(root, part, names[index], canvas)
        chosen = np.array([index])
        np.testing.assert_array_equal(split.inputs[chosen][0], inputs)
        np.testing.assert_array_equal(split.targets[chosen][0], targets)
        assert split.extras["lengths"][index] == length


def test_the_clean_track_validates_on_the_first_of_deepcov(root):
    deepcov, psicov = (written.names(part) for part in ("deepcov", "psicov"))
    splits = read(root)
    assert_same(splits.val, root, "deepcov", deepcov[:1], 128, range(1))
    assert_same(splits.train, root, "deepcov", deepcov[1:], 128, range(2))
    assert_same(splits.test, root, "psicov", psicov, 128, range(3))


def test_the_paper_track_trains_on_all_and_validates_on_the_test_split(root):
    deepcov, psicov = (written.names(part) for part in ("deepcov", "psicov"))
    splits = read(root, "paper", 512)
    assert_same(splits.train, root, "deepcov", deepcov, 512, range(2, 3))
    assert_same(splits.val, root, "psicov", psicov, 512, range(2, 3))
    assert_same(splits.test, root, "psicov", psicov, 512, range(2, 3))
    assert splits.train.extras["lengths"][2] == 140


def test_of_3456_proteins_100_validate(root, monkeypatch):
    many = {"deepcov": [f"d{number}" for number in range(3456)], "psicov": [f"p{number}" for number in range(150)]}

    class Named:
        def __init__(self, files, folder):
            self.names, self.lengths = many[folder], np.arange(len(many[folder])) + 1000 * (folder == "psicov")

        def __len__(self):
            return len(self.names)

    monkeypatch.setattr("pare_bench.builtin.suites.nas360.psicov.Proteins", Named)
    clean, paper = read(root, "clean", 512), read(root, "paper", 512)
    lengths = [np.minimum(np.arange(start, end), 502).tolist() for start, end in ((100, 3456), (0, 100), (0, 3456))]
    assert [split.extras["lengths"].tolist() for split in (clean.train, clean.val, paper.train)] == lengths
    assert len(clean.test) == len(paper.val) == len(paper.test) == 150


def test_proteins_are_converted_in_batches(root, monkeypatch):
    whole = read(root)
    monkeypatch.setattr(psicov_files, "BATCH", 9)
    parts = read(root)
    for name in ("train", "test"):
        np.testing.assert_array_equal(getattr(parts, name).inputs[:10], getattr(whole, name).inputs[:10])
        np.testing.assert_array_equal(getattr(parts, name).targets[:], getattr(whole, name).targets[:])
        np.testing.assert_array_equal(getattr(parts, name).extras["lengths"], getattr(whole, name).extras["lengths"])


def test_the_released_layout_with_a_folder_protein_is_found(root, tmp_path):
    (tmp_path / "protein").symlink_to(root / "psicov")
    np.testing.assert_array_equal(read(tmp_path).test.targets[:], read(root).test.targets[:])


def released(pred: np.ndarray, target: np.ndarray, lengths: list[int], pad: int = 10) -> float:
    """The released evaluation, step by step, of one protein after the other."""
    scores = []
    for number in range(len(pred)):
        size = pred.shape[1]
        output, truth = pred[number].copy(), target[number].astype(np.float64)
        for j in range(size):
            for k in range(j, size):
                output[j, k] = (output[k, j] + output[j, k]) / 2.0
        output[output < 0.01] = 0.01
        output[: size - pad, : size - pad] = output[pad // 2 : size - pad // 2, pad // 2 : size - pad // 2].copy()
        truth[: size - pad, : size - pad] = truth[pad // 2 : size - pad // 2, pad // 2 : size - pad // 2].copy()
        pairs = [(p, q) for p in range(lengths[0]) for q in range(p + 24, lengths[0]) if truth[p, q] <= 8]
        errors = [abs(truth[p, q] - (output[q, p] + output[p, q]) / 2.0) for p, q in pairs]
        if errors:
            scores.append(np.mean(errors))
    return float(np.mean(scores))


@pytest.mark.parametrize("first", [0, 3])
def test_the_released_score(root, first):
    """With a long protein first the others count whole, with a short one first they are cut to its length."""
    splits = read(root, "paper")
    order = np.argsort(-splits.test.extras["lengths"], kind="stable")
    test = splits.test.take(np.roll(order[[0, 3, 6, 11]], -first))
    outputs = np.random.default_rng(1).normal(6, 4, test.targets.shape).astype(np.float32)
    (metric,) = Psicov().released_metrics(8)
    assert metric.name == "mae_8"
    lengths = test.extras["lengths"].tolist()
    assert metric.compute(outputs, test) == pytest.approx(released(outputs, test.targets, lengths), rel=1e-6)
    assert metric.compute(outputs, test) != pytest.approx(mae_8(outputs, test.targets, lengths), rel=1e-3)


def test_the_released_score_weights_the_triangles_three_to_one():
    target = np.full((1, 40, 40), 100, np.float32)
    target[0, 5, 34] = target[0, 34, 5] = 7
    pred = np.zeros((1, 40, 40), np.float32)
    pred[0, 34, 5], pred[0, 5, 34] = 4, 8
    assert mae_8_released(pred, target, np.array([30])) == pytest.approx(abs(7 - (0.75 * 4 + 0.25 * 8)), rel=1e-6)
    assert mae_8(pred, target, np.array([30])) == pytest.approx(1, rel=1e-6)


def test_on_symmetric_maps_of_one_length_both_scores_agree(root):
    splits = read(root)
    test = splits.test.take(np.array([0]))
    outputs = np.random.default_rng(1).normal(9, 3, test.targets.shape)
    outputs = ((outputs + outputs.transpose(0, 2, 1)) / 2).astype(np.float32)
    lengths = test.extras["lengths"]
    assert mae_8_released(outputs, test.targets, lengths) == pytest.approx(mae_8(outputs, test.targets, lengths), rel=1e-6)


def test_a_protein_without_a_pair_is_left_out_of_the_released_score():
    target = np.full((2, 60, 60), 100, np.float32)
    target[1, 5, 34] = 7
    assert mae_8_released(np.full((2, 60, 60), 6, np.float32), target, np.array([50, 50])) == pytest.approx(1)
    with pytest.raises(ValueError, match="undefined"):
        mae_8_released(np.ones((1, 60, 60), np.float32), target[:1], np.array([50]))


@pytest.mark.parametrize(
    ("pred", "lengths", "message"),
    [
        (np.ones((2, 60, 59), np.float32), [50, 50], "do not fit"),
        (np.ones((2, 60, 60), np.float32), [50], "do not fit"),
        (np.ones((2, 60, 60), np.float32), [51, 50], "length 51 with padding 10 does not fit"),
        (np.full((2, 60, 60), np.nan, np.float32), [50, 50], "NaN"),
    ],
)
def test_the_released_score_refuses_what_does_not_fit(pred, lengths, message):
    with pytest.raises(ValueError, match=message):
        mae_8_released(pred, np.ones((2, 60, 60), np.float32), np.array(lengths))


NAME = written.names("psicov")[4]


def convert(copy: Path) -> None:
    """Convert one protein here; that the reader does so in a process of its own is tested once."""
    folder = copy / "psicov" / "psicov"
    psicov_files.converted([folder / "features" / f"{NAME}.pkl", folder / "distance" / f"{NAME}-cb.npy"])


def changed_features(copy: Path, **changes: object) -> None:
    path = copy / "psicov" / "psicov" / "features" / f"{NAME}.pkl"
    features = pickle.loads(path.read_bytes()) | changes  # noqa: S301 - written above
    path.write_bytes(pickle.dumps({key: value for key, value in features.items() if value is not None}))


def changed_distance(copy: Path, **changes: object) -> None:
    path = copy / "psicov" / "psicov" / "distance" / f"{NAME}-cb.npy"
    triple = dict(zip(("length", "sequence", "map"), np.load(path, allow_pickle=True), strict=True)) | changes
    entries = np.empty(3, object)
    entries[:] = list(triple.values())
    np.save(path, entries, allow_pickle=True)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pssm": None}, "'pssm' of '.*' is NoneType, expected numbers of shape"),
        ({"seq": None}, "is not a dict with a sequence 'seq'"),
        ({"seq": "ACD"}, r"'ss' of '.*' is float32 \(3, .*\), expected numbers of shape \(3, 3\)"),
        ({"sa": np.array(["A"])}, "'sa' of '.*' is <U1"),
        ({"potential": Evil()}, "system"),
    ],
)
def test_wrong_features_are_named_in_one_line(copy, change, message):
    changed_features(copy, **change)
    with pytest.raises(IntegrityError, match=message) as caught:
        convert(copy)
    assert f"{NAME}.pkl" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("value", "message"), [(np.nan, "'ccmpred' of '.*' has values that are not finite"), (100.0, "leaves -100 to 100")])
def test_values_out_of_range_are_refused(copy, value, message):
    path = copy / "psicov" / "psicov" / "features" / f"{NAME}.pkl"
    array = pickle.loads(path.read_bytes())["ccmpred"]  # noqa: S301 - written above
    array[3, 4] = value
    changed_features(copy, ccmpred=array)
    with pytest.raises(IntegrityError, match=message):
        convert(copy)


def test_entries_that_nobody_reads_do_no_harm(copy, root):
    changed_features(copy, more=np.zeros(3))
    np.testing.assert_array_equal(read(copy).test.inputs[4:5], read(root).test.inputs[4:5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 7}, "says 7 residues, the features have"),
        ({"map": np.zeros((4, 4), np.float32)}, r"'distances' of '.*' is float32 \(4, 4\)"),
        ({"map": None}, "'distances' of '.*' is NoneType"),
        ({"sequence": Evil()}, "system"),
    ],
)
def test_wrong_distances_are_named_in_one_line(copy, change, message):
    changed_distance(copy, **change)
    with pytest.raises(IntegrityError, match=message) as caught:
        convert(copy)
    assert f"{NAME}-cb.npy" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("value", "message"), [(np.nan, "not finite"), (501.0, "distances from 0 to 501 angstrom"), (-1.0, "distances from -1 to")])
def test_impossible_distances_are_refused(copy, value, message):
    path = copy / "psicov" / "psicov" / "distance" / f"{NAME}-cb.npy"
    array = np.load(path, allow_pickle=True)[2]
    array[3, 4] = value
    changed_distance(copy, map=array)
    with pytest.raises(IntegrityError, match=message):
        convert(copy)


@pytest.mark.parametrize("place", [f"features/{NAME}.pkl", f"distance/{NAME}-cb.npy"])
def test_a_truncated_file_is_refused(copy, place):
    path = copy / "psicov" / "psicov" / place
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(IntegrityError, match=Path(place).name):
        convert(copy)


def test_the_process_apart_passes_the_message_on(copy):
    changed_features(copy, potential=Evil())
    with pytest.raises(IntegrityError, match=rf"'{NAME}.pkl' cannot be read: .*system") as caught:
        read(copy)
    assert "\n" not in str(caught.value)


def test_a_plain_array_is_not_a_distance_file(copy):
    np.save(copy / "psicov" / "psicov" / "distance" / f"{NAME}-cb.npy", np.zeros((5, 5)))
    with pytest.raises(IntegrityError, match="expected 3 objects"):
        convert(copy)


@pytest.mark.parametrize("place", ["psicov.lst", f"psicov/features/{NAME}.pkl", f"psicov/distance/{NAME}-cb.npy"])
def test_a_missing_file_says_how_to_get_it(copy, place):
    (copy / "psicov" / place).unlink()
    with pytest.raises(DataMissingError, match=Path(place).name) as caught:
        read(copy)
    assert caught.value.hint == "pare-bench data fetch psicov"


@pytest.mark.parametrize(
    ("content", "message"), [(b"../../evil\n", "names '../../evil'"), (b" \n\n", "names no protein"), (b"\xff\xfe\x00", "not a text file")]
)
def test_a_wrong_list_is_refused(copy, content, message):
    (copy / "psicov" / "psicov.lst").write_bytes(content)
    with pytest.raises(IntegrityError, match=message):
        read(copy)


def test_one_protein_is_too_few(copy):
    (copy / "psicov" / "deepcov.lst").write_text(written.names("deepcov")[0] + "\n")
    with pytest.raises(IntegrityError, match="names 1 protein, needed are 2"):
        read(copy)
