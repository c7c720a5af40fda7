"""NinaPro from its six published arrays."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from official_files import ninapro as written

from pare_bench.builtin.suites.nas360.ninapro import Ninapro
from pare_bench.contracts.task import Split
from pare_bench.datasets.official import OfficialFiles, official_data
from pare_bench.errors import DataMissingError, IntegrityError


def files(root: Path) -> OfficialFiles:
    return OfficialFiles(root, "ninapro", written.undigested())


def check(split: Split, *parts: str) -> None:
    arrays = written.arrays()
    windows = np.concatenate([arrays[f"ninapro_{part}"] for part in parts])
    labels = np.concatenate([arrays[f"label_{part}"] for part in parts])
    assert split.inputs.shape == (len(windows), 1, 16, 52)
    assert split.inputs.dtype == np.float32
    assert split.targets.dtype == np.int64
    for electrode in range(16):
        np.testing.assert_array_equal(np.asarray(split.inputs[:])[:, 0, electrode, :], windows[:, :, electrode].astype(np.float32))
    np.testing.assert_array_equal(np.asarray(split.targets), labels.astype(int))


def test_clean_track_takes_the_published_parts(tmp_path: Path) -> None:
    written.write(tmp_path)
    splits = Ninapro().official(files(tmp_path), "clean")
    check(splits.train, "train")
    check(splits.val, "val")
    check(splits.test, "test")


def test_paper_track_merges_training_and_validation(tmp_path: Path) -> None:
    written.write(tmp_path)
    splits = Ninapro().official(files(tmp_path), "paper")
    check(splits.train, "train", "val")
    check(splits.val, "test")
    check(splits.test, "test")


def test_the_flat_folder_of_the_released_code_is_found(tmp_path: Path) -> None:
    written.write(tmp_path)
    (tmp_path / "ninapro" / "ninaPro").rename(tmp_path / "ninaPro")
    check(Ninapro().official(files(tmp_path), "clean").train, "train")


def test_all_six_files_are_read_and_their_digests_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written.write(tmp_path)
    with pytest.raises(IntegrityError, match="published is d4c33785587983348e6091e86a0d30b6"):
        official_data(Ninapro(), tmp_path)
    monkeypatch.setattr(Ninapro, "official_files", written.undigested())
    digests = {official_data(Ninapro(), tmp_path).sha256}
    for path in sorted((tmp_path / "ninapro" / "ninaPro").glob("*.npy")):
        array = np.load(path)
        array[0] = 3.0 if array.flat[0] != 3.0 else 4.0
        np.save(path, array)
        digests.add(official_data(Ninapro(), tmp_path).sha256)
    assert len(digests) == 7


def test_the_declared_digests_are_digests() -> None:
    found = {file.md5 for file in Ninapro.official_files}
    assert len(found) == 6
    assert all(digest and len(digest) == len(hashlib.md5(b"", usedforsecurity=False).hexdigest()) for digest in found)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    written.write(tmp_path)
    (tmp_path / "ninapro" / "ninaPro" / "label_val.npy").unlink()
    with pytest.raises(DataMissingError, match=r"label_val\.npy"):
        Ninapro().official(files(tmp_path), "clean")


def with_nan(shape: tuple[int, ...]) -> np.ndarray:
    array = np.zeros(shape)
    array[-1, -1, -1] = np.nan
    return array


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("ninapro_val", np.zeros((12, 16, 52)), r"shape \(12, 16, 52\), numbers \(n, 52, 16\)"),
        ("ninapro_val", np.zeros((0, 52, 16)), r"shape \(0, 52, 16\)"),
        ("ninapro_val", np.zeros((12, 52, 16), "S3"), r"type \|S3"),
        ("ninapro_val", with_nan((12, 52, 16)), "not finite"),
        ("label_val", np.full(12, 18), "whole numbers from 0 to 17"),
        ("label_val", np.full(12, -1), "whole numbers from 0 to 17"),
        ("label_val", np.full(12, 0.5), "whole numbers from 0 to 17"),
        ("label_val", np.full(12, np.nan), "whole numbers from 0 to 17"),
        ("label_val", np.zeros(11), "12 whole numbers"),
    ],
)
def test_wrong_content_is_one_clear_error(tmp_path: Path, name: str, array: np.ndarray, said: str) -> None:
    written.write(tmp_path)
    np.save(tmp_path / "ninapro" / "ninaPro" / f"{name}.npy", array)
    with pytest.raises(IntegrityError, match=said) as caught:
        Ninapro().official(files(tmp_path), "clean")
    assert f"{name}.npy" in str(caught.value)
    assert "\n" not in str(caught.value)


class Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    written.write(tmp_path)
    array = np.empty(12, object)
    array[:] = [Marker(tmp_path / "ran")] * 12
    np.save(tmp_path / "ninapro" / "ninaPro" / "label_val.npy", array, allow_pickle=True)
    with pytest.raises(IntegrityError, match=r"label_val\.npy"):
        Ninapro().official(files(tmp_path), "clean")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Marker(tmp_path / "ran")))  # noqa: S301 - shows that the trap would have worked
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("size", [9, 100, 5000])
def test_truncated_arrays_are_refused(tmp_path: Path, size: int) -> None:
    written.write(tmp_path)
    path = tmp_path / "ninapro" / "ninaPro" / "ninapro_test.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(IntegrityError, match=r"ninapro_test\.npy"):
        Ninapro().official(files(tmp_path), "clean")
