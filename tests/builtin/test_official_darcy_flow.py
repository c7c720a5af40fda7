"""The official Darcy files, against a reading of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from official_files import darcy_flow as written
from scipy.io import loadmat, savemat

from pare_bench.builtin.suites.nas360.darcy_flow import DarcyFlow
from pare_bench.builtin.suites.nas360.darcy_flow_files import subsampled
from pare_bench.contracts.task import Splits, Track
from pare_bench.datasets.official import OfficialFiles
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.scoring.tracks import released_metrics

TRAIN, TEST = written.NAMES


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    written.write(folder)
    return folder


def read(root: Path, track: Track = "clean") -> Splits:
    return DarcyFlow().official(OfficialFiles(root, "darcy_flow", DarcyFlow.official_files), track)


def every_fifth(path: Path, name: str) -> list[np.ndarray]:
    """One float32 [85 85] for each sample, value by value."""
    places = range(0, 421, 5)
    return [np.array([[sample[i, j] for j in places] for i in places], np.float32) for sample in loadmat(path)[name]]


def assert_same(split, coefficients, solutions, fitted_on) -> None:
    mean = np.mean(np.array(fitted_on, np.float64), axis=0)
    std = np.sqrt(np.sum((np.array(fitted_on, np.float64) - mean) ** 2, axis=0) / (len(fitted_on) - 1))
    assert split.inputs.shape == (len(coefficients), 3, 85, 85)
    assert split.inputs.dtype == split.targets.dtype == np.float32
    for index, (coefficient, solution) in enumerate(zip(coefficients, solutions, strict=True)):
        np.testing.assert_allclose(split.inputs[index, 0], (coefficient - mean) / (std + 1e-5), rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(split.targets[index], solution)
    for index in range(85):
        # The first coordinate runs along the last axis, the second along the rows.
        np.testing.assert_allclose(split.inputs[:, 1, :, index], index / 84, rtol=1e-6)
        np.testing.assert_allclose(split.inputs[:, 2, index, :], index / 84, rtol=1e-6)


@pytest.mark.parametrize("track", ["clean", "paper"])
def test_values_and_splits(root, track):
    coefficients, solutions = (every_fifth(root / "darcy_flow" / TRAIN, name) for name in ("coeff", "sol"))
    tested = [every_fifth(root / "darcy_flow" / TEST, name) for name in ("coeff", "sol")]
    splits = read(root, track)
    if track == "clean":
        assert_same(splits.train, coefficients[:18], solutions[:18], coefficients[:18])
        assert_same(splits.val, coefficients[18:], solutions[18:], coefficients[:18])
        assert_same(splits.test, *tested, coefficients[:18])
    else:
        assert_same(splits.train, coefficients, solutions, coefficients)
        assert_same(splits.val, *tested, coefficients)
        assert_same(splits.test, *tested, coefficients)


def test_of_1024_samples_900_train_and_100_validate_and_100_test(monkeypatch):
    """The published counts, on arrays that stand for the converted files."""
    coefficient = np.arange(1024, dtype=np.float32)[:, None, None] * np.ones((85, 85), np.float32)
    monkeypatch.setattr(OfficialFiles, "converted", lambda self, name, converter: {"coeff": coefficient, "sol": coefficient + 1})
    clean, paper = (read(Path("nowhere"), track) for track in ("clean", "paper"))
    assert [split.targets[:, 0, 0].tolist() for split in (clean.train, clean.val, clean.test)] == [
        list(range(1, 901)),
        list(range(901, 1001)),
        list(range(1, 101)),
    ]
    assert paper.train.targets[:, 0, 0].tolist() == list(range(1, 1001))
    assert paper.val.targets[:, 0, 0].tolist() == paper.test.targets[:, 0, 0].tolist() == list(range(1, 101))


def test_both_matlab_formats_hold_the_same(tmp_path):
    values = written.fields(4, seed=5)
    written.write_matlab_5(tmp_path / "5.mat", values)
    written.write_matlab_73(tmp_path / "73.mat", values)
    old, new = (subsampled([tmp_path / name]) for name in ("5.mat", "73.mat"))
    for name in ("coeff", "sol"):
        assert not np.array_equal(old[name], old[name].swapaxes(1, 2)), "symmetric values would hide a transposition"
        np.testing.assert_array_equal(old[name], new[name])
        np.testing.assert_array_equal(old[name], values[name][:, ::5, ::5].astype(np.float32))


def test_the_flat_folder_of_the_released_code_is_found(root, tmp_path):
    for name in written.NAMES:
        (tmp_path / name).symlink_to(root / "darcy_flow" / name)
    np.testing.assert_array_equal(read(tmp_path).train.inputs, read(root).train.inputs)


def test_the_released_metric_is_one_chunk(root):
    splits = read(root, "paper")
    outputs = splits.test.targets * np.linspace(0.5, 1.5, 6, dtype=np.float32)[:, None, None]
    (metric,) = released_metrics(DarcyFlow(), 16)
    assert metric.compute(outputs, splits.test) == pytest.approx(np.mean(np.abs(np.linspace(0.5, 1.5, 6) - 1)), rel=1e-5)


@pytest.mark.parametrize("write", [written.write_matlab_5, written.write_matlab_73])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("sol"), "'file.mat' has no field 'sol'; it has"),
        (
            lambda values: values.update(sol=values["sol"][:, :420]),
            r"field 'sol' of 'file.mat' has shape \(2, 420, 421\), expected \(samples, 421, 421\)",
        ),
        (lambda values: values.update(sol=values["sol"][:1]), "'file.mat' has 2 samples of 'coeff' and 1 of 'sol'"),
        (lambda values: values["coeff"].__setitem__((1, 5, 10), np.nan), "field 'coeff' of 'file.mat' has values that are not finite"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(tmp_path, write, change, message):
    values = written.fields(2, seed=7)
    change(values)
    write(tmp_path / "file.mat", values)
    with pytest.raises(IntegrityError, match=message) as caught:
        subsampled([tmp_path / "file.mat"])
    assert "\n" not in str(caught.value)


def test_a_field_of_text_is_refused(tmp_path):
    savemat(tmp_path / "text.mat", {"coeff": np.full((1, 421, 421), "a"), "sol": np.zeros((1, 421, 421))})
    with pytest.raises(IntegrityError, match=r"text\.mat"):
        subsampled([tmp_path / "text.mat"])


def write_uncompressed(path, values):
    savemat(path, values)


@pytest.mark.parametrize("write", [written.write_matlab_5, write_uncompressed, written.write_matlab_73])
def test_a_truncated_file_is_refused(tmp_path, write):
    write(tmp_path / "whole.mat", written.fields(2, seed=7))
    content = (tmp_path / "whole.mat").read_bytes()
    for share in (0.0005, 0.5, 0.99):
        (tmp_path / "cut.mat").write_bytes(content[: int(share * len(content))])
        with pytest.raises(IntegrityError, match=r"'cut\.mat' cannot be read|'cut\.mat' has no field") as caught:
            subsampled([tmp_path / "cut.mat"])
        assert "\n" not in str(caught.value)


def test_too_few_samples_to_split_are_refused(root, tmp_path):
    written.write_matlab_5(tmp_path / TRAIN, written.fields(3, seed=7))
    (tmp_path / TEST).symlink_to(root / "darcy_flow" / TEST)
    with pytest.raises(IntegrityError, match=r"smooth1\.mat' has 3 samples and .* needed are 4 and 1"):
        read(tmp_path)


def test_a_missing_file_says_how_to_get_it(root, tmp_path):
    (tmp_path / TRAIN).symlink_to(root / "darcy_flow" / TRAIN)
    with pytest.raises(DataMissingError, match="smooth2") as caught:
        read(tmp_path)
    assert caught.value.hint == "pare-bench data fetch darcy_flow"
