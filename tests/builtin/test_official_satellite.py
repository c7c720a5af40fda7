"""The official Satellite files, against the arrays they were written from."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from official_files import satellite as written

from pare_bench.builtin.suites.nas360.satellite import Satellite
from pare_bench.builtin.suites.nas360.satellite_files import convert
from pare_bench.contracts.task import Split, Splits, Track
from pare_bench.datasets.official import OfficialFiles
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.scoring.tracks import released_metrics


def read(root: Path, track: Track = "clean") -> Splits:
    return Satellite().official(OfficialFiles(root, "satellite", Satellite.official_files), track)


def stored(seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return written.arrays(written.TRAIN, rng), written.arrays(written.TEST, rng)


def assert_same(split: Split, inputs: np.ndarray, labels: np.ndarray) -> None:
    assert split.inputs.shape == (len(labels), 1, 46)
    assert split.inputs.dtype == np.float32
    np.testing.assert_array_equal(split.inputs[:][:, 0], inputs.astype(np.float32))
    assert isinstance(split.targets, np.ndarray)
    assert split.targets.dtype == np.int64
    np.testing.assert_array_equal(split.targets, labels - 1)
    assert split.extras == {}


def standardised(series: np.ndarray) -> np.ndarray:
    return np.array([(row - np.mean(row)) / np.std(row) for row in series])


def test_the_clean_track_standardises_and_sets_the_last_ninth_apart(tmp_path: Path) -> None:
    written.write(tmp_path)
    train, test = stored()
    splits = read(tmp_path)
    assert len(splits.val) == 8
    assert_same(splits.train, standardised(train["data"])[:64], train["label"][:64])
    assert_same(splits.val, standardised(train["data"])[64:], train["label"][64:])
    assert_same(splits.test, standardised(test["data"]), test["label"])


def test_the_paper_track_feeds_stored_values_and_validates_on_test(tmp_path: Path) -> None:
    written.write(tmp_path, seed=4)
    train, test = stored(4)
    splits = read(tmp_path, "paper")
    assert_same(splits.train, train["data"], train["label"])
    assert_same(splits.test, test["data"], test["label"])
    assert splits.val is splits.test


def test_a_constant_series_becomes_zeros(tmp_path: Path) -> None:
    written.write(tmp_path)
    train, _ = stored()
    train["data"][3] = 12.3
    written.save(tmp_path / "satellite" / "satellite_train.npy", train)
    splits = read(tmp_path)
    assert (splits.train.inputs[:][3] == 0).all()
    np.testing.assert_array_equal(splits.train.inputs[:][4, 0], standardised(train["data"][4:5])[0].astype(np.float32))
    assert (read(tmp_path, "paper").train.inputs[:][3] == np.float32(12.3)).all()


def test_the_released_metric_averages_chunks_in_file_order() -> None:
    rng = np.random.default_rng(0)
    labels, outputs = rng.integers(0, 24, 2600), rng.standard_normal((2600, 24)).astype(np.float32)
    outputs[:1024] += 9 * np.eye(24, dtype=np.float32)[labels[:1024]]
    split = Split(np.zeros((2600, 1), np.float32), labels)
    (metric,) = released_metrics(Satellite(), 32)
    wrong = outputs.argmax(axis=1) != labels
    assert metric.compute(outputs, split) == pytest.approx(np.mean([wrong[:1024].mean(), wrong[1024:2048].mean(), wrong[2048:].mean()]), abs=1e-12)
    assert metric.compute(outputs, split) != pytest.approx(wrong.mean(), abs=1e-3)


def spoiled(**changes: object) -> dict[str, object]:
    train, _ = stored()
    return {**train, **changes}


def with_value(name: str, value: float) -> dict[str, object]:
    train, _ = stored()
    train[name].flat[7] = value
    return dict(train)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (with_value("data", np.nan), "not finite"),
        (with_value("label", 25), r"whole numbers \[72\] in 1..24"),
        (with_value("label", 0), r"whole numbers \[72\] in 1..24"),
        (spoiled(label=stored()[0]["label"] + 0.5), "whole numbers"),
        (spoiled(label=stored()[0]["label"][1:]), r"label has shape \[71\]"),
        (spoiled(data=stored()[0]["data"][:, :45]), r"data has shape \[72, 45\]"),
        (spoiled(data=stored()[0]["data"].astype(str)), "expected numbers"),
        ({"data": stored()[0]["data"]}, "expected a dict with 'data' and 'label'"),
        ([1, 2, 3], "expected a dict with 'data' and 'label'"),
    ],
)
def test_bad_content_is_refused(tmp_path: Path, content: object, words: str) -> None:
    written.save(tmp_path / "bad.npy", content)
    with pytest.raises(ValueError, match=words) as caught:
        convert([tmp_path / "bad.npy"])
    assert "\n" not in str(caught.value)


def test_refusals_reach_the_user_as_one_line_that_names_the_file(tmp_path: Path) -> None:
    written.write(tmp_path)
    written.save(tmp_path / "satellite" / "satellite_train.npy", with_value("data", np.nan))
    with pytest.raises(IntegrityError, match=r"satellite_train.npy' cannot be read: data has values that are not finite$"):
        read(tmp_path)


@pytest.mark.parametrize("kept", [20, 90, -3000])
def test_truncated_files_give_one_line(tmp_path: Path, kept: int) -> None:
    written.write(tmp_path)
    path = tmp_path / "satellite" / "satellite_test.npy"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(IntegrityError, match=r"satellite_test.npy") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


class Planted:
    """Writes a file when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.path, "ran")


def test_a_planted_object_is_not_run(tmp_path: Path) -> None:
    written.write(tmp_path)
    trap = tmp_path / "trap"
    written.save(tmp_path / "satellite" / "satellite_train.npy", spoiled(extra=Planted(trap)))
    with pytest.raises(IntegrityError):
        read(tmp_path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Planted(trap)))  # noqa: S301 - the trap itself works
    assert trap.exists()


def test_without_files_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"satellite_train.npy"):
        read(tmp_path)
