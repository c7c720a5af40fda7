"""The official ECG files, against a reading of their own written as loops over recordings."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from official_files import ecg as written
from scipy.io import savemat
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from pare_bench.builtin.suites.nas360.ecg import Ecg, recording_f1_error
from pare_bench.builtin.suites.nas360.ecg_files import (
    FIXED_STRIDES,
    LABEL_VERSIONS,
    LETTERS,
    RELEASED_STRIDES,
    TABLES,
    Recordings,
    convert_archive,
    convert_pickle,
    convert_release,
    join_recordings,
)
from pare_bench.contracts.task import Split, Splits, Track
from pare_bench.datasets.cache import Data
from pare_bench.datasets.fetch import unpack_present
from pare_bench.datasets.official import OfficialFiles, official_data, state_of
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.runs.recording import _task_record
from pare_bench.scoring.tracks import chunked

PUBLISHED = {"N": 500, "A": 83, "O": 250, "~": 25}


def read(root: Path, track: Track = "clean") -> Splits:
    return Ecg().official(OfficialFiles(root, "ecg", Ecg.official_files), track)


def expected(data: list[np.ndarray], letters: list[str], chosen: list[int], *, fixed: bool) -> tuple[list[np.ndarray], list[int], list[int]]:
    """Windows, labels and recordings, cut one after the other."""
    windows, labels, groups = [], [], []
    for number in chosen:
        signal = (data[number] - np.mean(data[number])) / np.std(data[number])
        for start in range(0, len(signal) - 1000, 500 if fixed else PUBLISHED[letters[number]]):
            windows.append(signal[start : start + 1000])
            labels.append("NAO~".index(letters[number]))
            groups.append(number)
    return windows, labels, groups


def assert_same(split: Split, windows: list[np.ndarray], labels: list[int], groups: list[int]) -> None:
    assert split.inputs.shape == (len(windows), 1, 1000)
    assert split.inputs.dtype == np.float32
    np.testing.assert_array_equal(split.inputs[:], np.array(windows)[:, None].astype(np.float32))
    assert isinstance(split.targets, np.ndarray)
    assert split.targets.dtype == np.int64
    assert split.targets.tolist() == labels
    assert split.extras["groups"][:].tolist() == groups


def test_the_clean_track_splits_recordings_as_published_and_scores_at_a_fixed_stride(tmp_path: Path) -> None:
    written.write(tmp_path)
    data, letters = written.recordings()
    train, rest = train_test_split(list(range(40)), test_size=0.2, random_state=0)
    val, test = train_test_split(rest, test_size=0.5, random_state=0)
    splits = read(tmp_path)
    assert_same(splits.train, *expected(data, letters, train, fixed=False))
    assert_same(splits.val, *expected(data, letters, val, fixed=True))
    assert_same(splits.test, *expected(data, letters, test, fixed=True))
    assert set(splits.test.extras["groups"][:].tolist()) == set(test)


def test_the_paper_track_cuts_everything_at_published_strides_and_validates_on_test(tmp_path: Path) -> None:
    written.write(tmp_path)
    data, letters = written.recordings()
    train, test = train_test_split(list(range(40)), test_size=0.1, random_state=0)
    splits = read(tmp_path, "paper")
    assert_same(splits.train, *expected(data, letters, train, fixed=False))
    assert_same(splits.test, *expected(data, letters, test, fixed=False))
    assert splits.val is splits.test
    order = np.random.default_rng(0).permutation(len(splits.train))
    np.testing.assert_array_equal(splits.train.take(order).inputs, splits.train.inputs[:][order])


@pytest.mark.parametrize("table", ["REFERENCE-v3.csv", "training2017/REFERENCE.csv"])
@pytest.mark.parametrize("track", ["clean", "paper"])
def test_the_release_gives_what_the_pickle_gives(tmp_path: Path, table: str, track: Track) -> None:
    data, letters = written.recordings(3)
    written.write_pickle(tmp_path / "pickle" / "ecg", data, letters)
    written.write_release(tmp_path / "release" / "ecg", data, letters, table)
    first, second = read(tmp_path / "pickle", track), read(tmp_path / "release", track)
    for one, other in ((first.train, second.train), (first.val, second.val), (first.test, second.test)):
        np.testing.assert_array_equal(one.inputs[:], other.inputs[:])
        np.testing.assert_array_equal(one.targets[:], other.targets[:])
        np.testing.assert_array_equal(one.extras["groups"][:], other.extras["groups"][:])


def recordings_of(lengths: list[int], letters: list[str]) -> tuple[Recordings, list[np.ndarray]]:
    rng = np.random.default_rng(1)
    data = [rng.integers(-900, 900, length) for length in lengths]
    return Recordings(**join_recordings(data, letters, letters)), data


def test_window_counts_follow_the_published_range() -> None:
    rng = np.random.default_rng(0)
    lengths = [50, 999, 1000, 1001, 1025, 1026, 1083, 1084, 1500, 1501, 9000, *rng.integers(900, 4000, 29).tolist()]
    for letter, stride in PUBLISHED.items():
        recordings, data = recordings_of(lengths, [letter] * len(lengths))
        order = rng.permutation(len(lengths))
        split = recordings.windows(order, RELEASED_STRIDES, score_all=False)
        counts = [sum(1 for _ in range(0, lengths[number] - 1000, stride)) for number in order]
        assert [int((split.extras["groups"][:] == number).sum()) for number in order] == counts
        assert_same(split, *expected(data, [letter] * len(lengths), order.tolist(), fixed=False))


def test_every_recording_is_scored_and_short_ones_end_in_zeros() -> None:
    recordings, data = recordings_of([400, 1000, 1001, 2600], ["~", "N", "A", "O"])
    split = recordings.windows(np.arange(4), FIXED_STRIDES, score_all=True)
    assert split.extras["groups"][:].tolist() == [0, 1, 2, 3, 3, 3, 3]
    assert split.targets[:].tolist() == [3, 0, 1, 2, 2, 2, 2]
    short = (data[0] - data[0].mean()) / data[0].std()
    np.testing.assert_array_equal(split.inputs[:][0, 0], np.r_[short, np.zeros(600)].astype(np.float32))
    np.testing.assert_array_equal(split.inputs[:][1, 0], ((data[1] - data[1].mean()) / data[1].std()).astype(np.float32))
    with pytest.raises(IntegrityError, match="no window"):
        recordings.windows(np.array([0, 1]), RELEASED_STRIDES, score_all=False)


def test_a_constant_recording_becomes_zeros() -> None:
    rng = np.random.default_rng(0)
    recordings = Recordings(**join_recordings([np.full(1200, 7), rng.integers(0, 9, 1200)], ["N", "A"], ["a", "b"]))
    split = recordings.windows(np.arange(2), FIXED_STRIDES, score_all=True)
    assert (split.inputs[:][0] == 0).all()
    assert split.inputs[:][1].std() > 0.5


@pytest.mark.parametrize(("values", "kept"), [([-32768, 32767], np.int16), ([0, 40000], np.int64), ([0.5, 1.5], np.float64)])
def test_samples_are_kept_exactly(values: list[float], kept: type) -> None:
    arrays = join_recordings([np.array(values)], ["N"], ["a"])
    assert arrays["samples"].dtype == kept
    assert arrays["samples"].tolist() == values


def test_the_released_metric_is_a_mean_over_shuffled_chunks_of_present_classes() -> None:
    rng = np.random.default_rng(0)
    labels = np.sort(rng.choice(3, 2500, p=(0.6, 0.3, 0.1)))
    outputs = rng.standard_normal((2500, 4)).astype(np.float32)
    outputs[:, 3] -= 3.0
    split = Split(np.zeros((2500, 1), np.float32), labels, {"groups": np.arange(2500) // 5})
    windows, over_recordings = Ecg().released_metrics(batch_size=3)
    score = windows.compute(outputs, split)
    assert score == windows.compute(outputs, split)
    # The order is revealed by giving each example its place as its score.
    seen: list[np.ndarray] = []

    def note(part: np.ndarray, _: Split) -> float:
        seen.append(part[:, 0].astype(int))
        return 0.0

    chunked(note, 3, shuffled="ecg")(np.arange(2500.0)[:, None], split)
    assert [len(part) for part in seen] == [1002, 1002, 496]
    assert sorted(np.concatenate(seen)) == list(range(2500))
    assert len(np.unique(labels[seen[2]])) == 3  # sorted labels would leave one class in the last chunk
    by_hand = []
    for part in seen:
        predicted = outputs[part].argmax(axis=1)
        by_hand.append(f1_score(labels[part], predicted, average="macro", zero_division=0))
    assert score == pytest.approx(1 - np.mean(by_hand), abs=1e-12)
    assert over_recordings.compute(outputs, split) == recording_f1_error(outputs, split)
    assert [metric.name for metric in (windows, over_recordings)] == [metric.name for metric in Ecg.metrics]


def bad_letter(folder: Path) -> None:
    data, letters = written.recordings()
    written.write_pickle(folder, data, [*letters[:-1], "X"])


def bad_truncated(folder: Path) -> None:
    path = folder / "challenge2017.pkl"
    path.write_bytes(path.read_bytes()[:-3000])


def bad_key(folder: Path) -> None:
    (folder / "challenge2017.pkl").write_bytes(pickle.dumps({"data": np.empty(3, object)}))


def bad_kind(folder: Path) -> None:
    (folder / "challenge2017.pkl").write_bytes(pickle.dumps([1, 2, 3]))


def bad_nan(folder: Path) -> None:
    data, letters = written.recordings()
    written.write_pickle(folder, [*data[:-1], np.r_[data[-1], np.nan]], letters)


def bad_shape(folder: Path) -> None:
    data, letters = written.recordings()
    written.write_pickle(folder, [*data[:-1], data[-1][None]], letters)


def bad_count(folder: Path) -> None:
    data, letters = written.recordings()
    written.write_pickle(folder, data, letters[:-1])


def bad_few(folder: Path) -> None:
    data, letters = written.recordings()
    written.write_pickle(folder, data[:9], letters[:9])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (bad_letter, "label 'X', expected one of N A O ~"),
        (bad_truncated, "."),
        (bad_key, "expected a dict with 'data' and 'label'"),
        (bad_kind, "expected a dict with 'data' and 'label'"),
        (bad_nan, "recording 39 .* expected finite numbers"),
        (bad_shape, "recording 39 has shape"),
        (bad_count, "40 recordings, but 39 labels"),
    ],
)
def test_bad_pickles_are_refused(tmp_path: Path, spoil, words: str) -> None:
    written.write(tmp_path)
    spoil(tmp_path / "ecg")
    with pytest.raises((ValueError, EOFError, pickle.UnpicklingError), match=words) as caught:
        convert_pickle([tmp_path / "ecg" / "challenge2017.pkl"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (bad_letter, "challenge2017.pkl' cannot be read: recording 39 has label 'X', expected one of N A O ~$"),
        (bad_truncated, "challenge2017.pkl' cannot be read: "),
        (bad_few, "9 recordings are too few"),
    ],
)
def test_refusals_reach_the_user_as_one_line(tmp_path: Path, spoil, words: str) -> None:
    written.write(tmp_path)
    spoil(tmp_path / "ecg")
    with pytest.raises(IntegrityError, match=words) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def bad_table(folder: Path) -> None:
    (folder / "REFERENCE-v3.csv").write_text("A00001;N\n", encoding="ascii")


def bad_unlabelled(folder: Path) -> None:
    table = folder / "REFERENCE-v3.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))


def bad_missing(folder: Path) -> None:
    (folder / "training2017" / "A00007.mat").unlink()


def bad_field(folder: Path) -> None:
    savemat(folder / "training2017" / "A00007.mat", {"other": np.zeros((1, 1200), np.int16)}, format="4")


def bad_twice(folder: Path) -> None:
    (folder / "training2017" / "more").mkdir()
    (folder / "training2017" / "A00007.mat").rename(folder / "training2017" / "more" / "A00008.mat")


def bad_bytes(folder: Path) -> None:
    path = folder / "training2017" / "A00007.mat"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (bad_table, "expected lines of a name and a letter"),
        (bad_unlabelled, "'A00040' is in the reference table or among the recordings, not in both"),
        (bad_missing, "'A00007' is in the reference table or among the recordings, not in both"),
        (bad_field, "A00007.mat'?: expected a field 'val'"),
        (bad_twice, "'A00008.mat' is there twice"),
        (bad_bytes, "A00007.mat' is no MATLAB file"),
    ],
)
def test_bad_releases_are_refused(tmp_path: Path, spoil, words: str) -> None:
    written.write_release(tmp_path / "ecg", *written.recordings())
    spoil(tmp_path / "ecg")
    sources = [tmp_path / "ecg" / "REFERENCE-v3.csv", *sorted((tmp_path / "ecg" / "training2017").rglob("*.mat"))]
    with pytest.raises(ValueError, match=words) as caught:
        convert_release(sources)
    assert "\n" not in str(caught.value)


def test_a_refused_release_reaches_the_user_as_one_line(tmp_path: Path) -> None:
    written.write_release(tmp_path / "ecg", *written.recordings())
    bad_missing(tmp_path / "ecg")
    with pytest.raises(IntegrityError, match=r"REFERENCE-v3.csv' \(and 39 more\) cannot be read: 'A00007' is in the reference table"):
        read(tmp_path)


def test_without_files_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"challenge2017.pkl"):
        read(tmp_path)


def zipped(folder: Path, *, inside: str | None = None) -> None:
    """Put the unpacked release into ``training2017.zip`` as PhysioNet does, with the table beside it or ``inside`` under that name."""
    if inside:
        (folder / "REFERENCE-v3.csv").rename(folder / "training2017" / inside)
    with zipfile.ZipFile(folder / "training2017.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "training2017").iterdir()):
            archive.write(path, f"training2017/{path.name}")
    shutil.rmtree(folder / "training2017")


@pytest.mark.parametrize("inside", [None, "REFERENCE.csv", "REFERENCE-v3.csv"])
def test_the_zip_gives_what_the_pickle_gives(tmp_path: Path, inside: str | None) -> None:
    data, letters = written.recordings(3)
    written.write_pickle(tmp_path / "pickle" / "ecg", data, letters)
    written.write_release(tmp_path / "zip" / "ecg", data, letters)
    zipped(tmp_path / "zip" / "ecg", inside=inside)
    first, second = read(tmp_path / "pickle"), read(tmp_path / "zip")
    for one, other in ((first.train, second.train), (first.val, second.val), (first.test, second.test)):
        np.testing.assert_array_equal(one.inputs[:], other.inputs[:])
        np.testing.assert_array_equal(one.targets[:], other.targets[:])
    # Nothing is unpacked for that.
    assert not (tmp_path / "zip" / "ecg" / "training2017").exists()
    assert state_of(tmp_path / "zip", "ecg", Ecg.official_files) == "present"


@pytest.mark.parametrize("inside", [None, "REFERENCE.csv", "REFERENCE-v3.csv"])
def test_the_zip_counts_the_same_when_it_was_unpacked(tmp_path: Path, inside: str | None) -> None:
    """``data fetch`` unpacks what it finds, and a run must not become another one by that."""
    written.write_release(tmp_path / "ecg", *written.recordings())
    zipped(tmp_path / "ecg", inside=inside)
    packed = official_data(Ecg(), tmp_path).sha256
    assert unpack_present(tmp_path, "ecg", Ecg.official_files)
    assert (tmp_path / "ecg" / "training2017").is_dir()
    assert official_data(Ecg(), tmp_path).sha256 == packed


def test_a_table_beside_the_zip_goes_before_the_one_inside(tmp_path: Path) -> None:
    data, letters = written.recordings()
    written.write_release(tmp_path / "ecg", data, letters)
    zipped(tmp_path / "ecg", inside="REFERENCE.csv")
    swapped = {"N": "A", "A": "N"}
    table = "".join(f"A{number:05d},{swapped.get(letter, letter)}\n" for number, letter in enumerate(letters, 1))
    (tmp_path / "ecg" / "REFERENCE-v3.csv").write_text(table, encoding="ascii")
    inside, beside = (convert_archive([*tables, tmp_path / "ecg" / "training2017.zip"])["labels"] for tables in ([], [tmp_path / "ecg" / TABLES[0]]))
    assert inside.tolist() == [LETTERS.index(letter) for letter in letters]
    assert beside.tolist() == [LETTERS.index(swapped.get(letter, letter)) for letter in letters]


def test_a_heading_in_the_table_is_passed_over(tmp_path: Path) -> None:
    written.write_release(tmp_path / "ecg", *written.recordings())
    table = tmp_path / "ecg" / "REFERENCE-v3.csv"
    known = read(tmp_path).train.targets[:]
    table.write_text(f"data_source,class\n{table.read_text()}")
    np.testing.assert_array_equal(read(tmp_path).train.targets[:], known)


def bad_no_table(folder: Path) -> None:
    zipped(folder)
    (folder / "REFERENCE-v3.csv").unlink()


def bad_large(folder: Path) -> None:
    with (folder / "training2017" / "A00007.mat").open("wb") as file:
        file.truncate((16 << 20) + 1)
    zipped(folder)


def bad_zip_twice(folder: Path) -> None:
    bad_twice(folder)
    with zipfile.ZipFile(folder / "training2017.zip", "w") as archive:
        for path in sorted((folder / "training2017").rglob("*.mat")):
            archive.write(path, path.relative_to(folder).as_posix())
    shutil.rmtree(folder / "training2017")


def bad_zip_member(folder: Path) -> None:
    bad_bytes(folder)
    zipped(folder)


def bad_zip_end(folder: Path) -> None:
    zipped(folder)
    path = folder / "training2017.zip"
    path.write_bytes(path.read_bytes()[:-400])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (bad_no_table, "neither REFERENCE-v3.csv nor REFERENCE.csv is in it"),
        (bad_large, "member 'training2017/A00007.mat' has 16777217 bytes, at most 16777216 are read"),
        (bad_zip_twice, "'A00008.mat' is there twice"),
        (bad_zip_member, "'A00007.mat' is no MATLAB file"),
        (bad_zip_end, "is truncated: the end of the archive is missing"),
    ],
)
def test_bad_zips_are_refused_in_one_line(tmp_path: Path, spoil, words: str) -> None:
    written.write_release(tmp_path / "ecg", *written.recordings())
    spoil(tmp_path / "ecg")
    with pytest.raises(IntegrityError, match=words) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_version_of_the_labels_is_recognised_warned_of_and_recorded(tmp_path: Path, monkeypatch) -> None:
    """By the letters themselves, whatever the file is called and however its lines end."""
    data, letters = written.recordings()
    written.write_release(tmp_path / "ecg", data, letters, "REFERENCE.csv")
    digest = hashlib.sha256("".join(letters).encode()).hexdigest()
    monkeypatch.setitem(LABEL_VERSIONS, digest, ("version 2", 148))
    task = Ecg()
    with pytest.warns(
        RuntimeWarning, match=r"the labels of 'REFERENCE\.csv' are version 2, of which 148 of 40 differ from version 3, .*v3\.csv into"
    ):
        splits = task.official(OfficialFiles(tmp_path, "ecg", Ecg.official_files), "clean")
    assert task.found == "labels of version 2"
    record = _task_record(task, "official", Data.of(splits, "0" * 64))
    assert record.real == "all of it: the published files; labels of version 2"
    monkeypatch.setitem(LABEL_VERSIONS, digest, ("version 3", 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.official(OfficialFiles(tmp_path, "ecg", Ecg.official_files), "clean")
    assert task.found == "labels of version 3"
