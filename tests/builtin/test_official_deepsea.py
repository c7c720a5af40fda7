"""The official DeepSEA file, against the arrays it was written from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_files import deepsea as written
from sklearn.metrics import roc_auc_score

from pare_bench.builtin.suites.nas360.deepsea import Deepsea
from pare_bench.builtin.suites.nas360.deepsea_files import convert
from pare_bench.contracts.task import Split, Splits, Track
from pare_bench.datasets.official import OfficialFiles
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.scoring.tracks import chunked

Arrays = dict[str, np.ndarray]


def read(root: Path, track: Track = "clean") -> Splits:
    return Deepsea().official(OfficialFiles(root, "deepsea", Deepsea.official_files), track)


def save(root: Path, arrays: Arrays, write: Callable[..., None] = np.savez) -> Path:
    path = root / "deepsea" / "deepsea_filtered.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, **arrays)
    return path


def assert_same(split: Split, onehot: np.ndarray, labels: np.ndarray) -> None:
    assert split.inputs.shape == (len(labels), 4, 1000)
    assert split.inputs.dtype == np.float32
    inputs = split.inputs[:]
    for base in range(4):
        np.testing.assert_array_equal(inputs[:, base], onehot[:, :, base].astype(np.float32))
    assert isinstance(split.targets, np.ndarray)
    assert split.targets.dtype == np.float32
    np.testing.assert_array_equal(split.targets, labels)


def test_the_clean_track_has_the_files_own_parts(tmp_path: Path) -> None:
    written.write(tmp_path)
    arrays, splits = written.arrays(), read(tmp_path)
    for part in ("train", "val", "test"):
        assert_same(getattr(splits, part), arrays[f"x_{part}"], arrays[f"y_{part}"])
    # Unknown bases stay positions without any 1.
    assert {0.0, 1.0} == set(np.unique(splits.train.inputs[:].sum(axis=1)))


def test_the_paper_track_merges_validation_into_training(tmp_path: Path) -> None:
    written.write(tmp_path, seed=2)
    arrays, splits = written.arrays(2), read(tmp_path, "paper")
    merged = {name: np.concatenate([arrays[f"{name}_train"], arrays[f"{name}_val"]]) for name in "xy"}
    assert_same(splits.train, merged["x"], merged["y"])
    assert_same(splits.test, arrays["x_test"], arrays["y_test"])
    assert splits.val is splits.test
    mixed = np.array([51, 3, 40, 39, 0])
    np.testing.assert_array_equal(splits.train.inputs[mixed], merged["x"][mixed].transpose(0, 2, 1))


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.int64, np.float16, np.float64])
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_any_stored_type_converts_to_the_same_bytes(tmp_path: Path, kind: type, write: Callable[..., None]) -> None:
    arrays = written.arrays()
    stored = {name: np.array(array, kind, order="C" if name == "x_val" else "F") for name, array in arrays.items()}
    path = save(tmp_path, stored, write)
    converted = convert([path])
    assert set(converted) == set(arrays)
    for name, array in arrays.items():
        assert converted[name].dtype == np.uint8
        np.testing.assert_array_equal(converted[name], array)


def test_the_released_metric_is_a_mean_over_shuffled_chunks_of_1008() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((2400, 36)) < np.linspace(0.0002, 0.1, 36)).astype(np.float32)
    labels[:, 0] = 0
    labels[1:, 1] = 0
    labels[0, 1] = 1
    outputs = (rng.standard_normal((2400, 36)) + labels).astype(np.float32)
    split = Split(np.zeros((2400, 1), np.float32), labels)
    seen: list[np.ndarray] = []

    def note(part: np.ndarray, _: Split) -> float:
        seen.append(part[:, 0].astype(int))
        return 0.0

    chunked(note, 16, shuffled="deepsea")(np.arange(2400.0)[:, None], split)
    assert [len(part) for part in seen] == [1008, 1008, 384]
    assert sorted(np.concatenate(seen)) == list(range(2400))
    assert not np.array_equal(np.concatenate(seen), np.arange(2400))
    by_hand, dropped = [], 0
    for part in seen:
        defined = [label for label in range(36) if 0 < labels[part, label].sum() < len(part)]
        dropped += 36 - len(defined)
        by_hand.append(np.mean([roc_auc_score(labels[part, label], outputs[part, label]) for label in defined]))
    assert dropped >= 5  # label 0 is missing in all three chunks, label 1 in two
    (metric,) = Deepsea().released_metrics(batch_size=16)
    assert metric.compute(outputs, split) == pytest.approx(1 - np.mean(by_hand), abs=1e-12)
    assert metric.name == Deepsea.metrics[0].name


def with_value(name: str, value: float) -> Arrays:
    arrays = written.arrays()
    arrays[name] = arrays[name].astype(np.float32)
    arrays[name].flat[5] = value
    return arrays


def two_bases() -> Arrays:
    arrays = written.arrays()
    arrays["x_test"][13, 999] = (1, 0, 1, 0)
    return arrays


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (with_value("x_train", np.nan), "x_train has values other than 0 and 1"),
        (with_value("x_val", 0.5), "x_val has values other than 0 and 1"),
        (with_value("y_test", -1), "y_test has values other than 0 and 1"),
        (two_bases(), "x_test has more than one base at a position"),
        ({**written.arrays(), "x_val": written.arrays()["x_val"].transpose(0, 2, 1)}, r"x_val has shape \[12, 4, 1000\]"),
        ({**written.arrays(), "y_train": written.arrays()["y_train"][:, :35]}, r"y_train has shape \[40, 35\]"),
        ({**written.arrays(), "y_train": written.arrays()["y_train"][:39]}, "x_train has 40 sequences, y_train has 39"),
        ({**written.arrays(), "y_val": np.full((12, 36), "1")}, "y_val has shape .* and type <U1"),
        ({**written.arrays(), "y_val": np.empty((12, 36), object)}, "y_val has shape .* and type object"),
        ({name: array for name, array in written.arrays().items() if name != "y_test"}, "y_test"),
    ],
)
def test_bad_content_is_refused(tmp_path: Path, arrays: Arrays, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        convert([save(tmp_path, arrays)])
    assert "\n" not in str(caught.value)


def test_refusals_reach_the_user_as_one_line_that_names_the_file(tmp_path: Path) -> None:
    save(tmp_path, with_value("x_train", np.nan))
    with pytest.raises(IntegrityError, match=r"deepsea_filtered.npz' cannot be read: x_train has values other than 0 and 1$"):
        read(tmp_path)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_files_give_one_line(tmp_path: Path, write: Callable[..., None], damage: str) -> None:
    path = save(tmp_path, written.arrays(), write)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"deepsea_filtered.npz") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_without_the_file_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"deepsea_filtered.npz"):
        read(tmp_path)
