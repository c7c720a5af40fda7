"""Spherical CIFAR-100 from its published file, and projected from CIFAR-100."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from official_files import cifar100 as flat
from official_files import spherical as written
from scipy.ndimage import map_coordinates

from pare_bench.builtin.suites.nas360.spherical import Spherical
from pare_bench.builtin.suites.nas360.spherical_files import ROTATION_CHUNK, convert_projected
from pare_bench.contracts.task import Split
from pare_bench.datasets.official import OfficialFiles, official_data
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.seeds import stream
from pare_bench.simulators import sphere

PROJECTED = Spherical(Spherical.Params(source="projected"))


def files(root: Path) -> OfficialFiles:
    return OfficialFiles(root, "spherical", Spherical.official_files)


def check(split: Split, images: np.ndarray, labels: np.ndarray) -> None:
    assert split.inputs.shape == images.shape
    np.testing.assert_array_equal(np.asarray(split.inputs[:]), images.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(np.asarray(split.targets), labels)


def test_clean_track_validates_on_the_last_fifth_in_file_order(tmp_path: Path) -> None:
    written.write(tmp_path)
    splits = Spherical().official(files(tmp_path), "clean")
    content = written.content()
    images, labels = content["train"]["images"], content["train"]["labels"]
    check(splits.train, images[:40], labels[:40])
    check(splits.val, images[40:], labels[40:])
    check(splits.test, content["test"]["images"], content["test"]["labels"])


def test_paper_track_trains_on_all_and_validates_on_the_test_split(tmp_path: Path) -> None:
    written.write(tmp_path)
    splits = Spherical().official(files(tmp_path), "paper")
    content = written.content()
    check(splits.train, content["train"]["images"], content["train"]["labels"])
    check(splits.val, content["test"]["images"], content["test"]["labels"])


def laid_on_sphere(image: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Point by point: turn the grid, look from just above the pole through the lower half to the plane, stretch to bytes."""
    values = np.zeros((3, 60, 60))
    for row in range(60):
        for column in range(60):
            polar, azimuth = np.pi * (2 * row + 1) / 120, np.pi * column / 30
            x, y, z = rotation @ [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]
            if z > 0:
                continue
            reach = 2.001 / (2.001 - (z + 1))  # the sphere's centre lies 1 above the plane
            place = [(x * reach / 1.5 + 1) / 2 * 31, (y * reach / 1.5 + 1) / 2 * 31]
            if min(place) < 0 or max(place) > 31:
                continue
            for channel in range(3):
                values[channel, row, column] = map_coordinates(image[channel], [[place[0]], [place[1]]], order=1)[0]
    return (values - values.min()) / (values.max() - values.min()) * 255


def test_projection_follows_the_published_construction(tmp_path: Path) -> None:
    flat.write(tmp_path)
    splits = PROJECTED.official(files(tmp_path), "paper")
    images, labels = flat.arrays("train")
    np.testing.assert_array_equal(np.asarray(splits.train.targets), labels)
    rotation = sphere.random_rotations(1, stream("spherical", "projected from cifar100", "train", 0))[0]
    for number in (0, 49):
        found = np.asarray(splits.train.inputs[number : number + 1], np.float64)[0] * 255
        # Bytes are cut off, not rounded; in single precision a value on the edge may fall to the next.
        difference = laid_on_sphere(images[number].reshape(3, 32, 32).astype(float), rotation) - found
        assert np.abs(difference - 0.5).max() < 0.51
        assert np.mean((difference >= 0) & (difference < 1)) > 0.999
    assert splits.train.inputs[:].max() == 1


def test_a_rotation_is_shared_by_a_chunk_and_by_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(flat.SIZES, "train", ROTATION_CHUNK + 2)
    flat.write(tmp_path)
    path = tmp_path / "cifar100" / "cifar-100-python"
    images = convert_projected([path / "train", path / "test"])["train_images"]
    # The rest of the sphere is black: where a picture lies shows how it was turned.
    lit = (images > 0).any(axis=1)
    same = [float((lit[first] & lit[second]).sum() / (lit[first] | lit[second]).sum()) for first, second in ((0, 499), (500, 501), (499, 500))]
    assert same[0] > 0.98
    assert same[1] > 0.98
    assert same[2] < 0.9


def test_the_source_enters_the_identity(tmp_path: Path) -> None:
    written.write(tmp_path)
    flat.write(tmp_path)
    assert official_data(Spherical(), tmp_path).sha256 != official_data(PROJECTED, tmp_path).sha256


def test_projected_splits_are_those_of_cifar100(tmp_path: Path) -> None:
    flat.write(tmp_path)
    splits = PROJECTED.official(files(tmp_path), "clean")
    assert [len(splits.train), len(splits.val), len(splits.test)] == [40, 10, 12]
    np.testing.assert_array_equal(np.asarray(splits.val.targets), flat.arrays("train")[1][40:])


def test_cifar100_alone_is_offered_and_not_taken(tmp_path: Path) -> None:
    flat.write(tmp_path)
    with pytest.raises(DataMissingError, match="CIFAR-100, its origin, is there") as caught:
        Spherical().official(files(tmp_path), "clean")
    assert "-o task.source=projected" in str(caught.value.hint)


@pytest.mark.parametrize("task", [Spherical(), PROJECTED], ids=["published", "projected"])
def test_nothing_there_is_said(tmp_path: Path, task: Spherical) -> None:
    with pytest.raises(DataMissingError, match=r"s2_cifar100|cifar-100-python"):
        task.official(files(tmp_path), "clean")


@pytest.mark.parametrize(
    ("part", "field", "value", "said"),
    [
        ("train", "labels", np.full(50, 100), "labels from 100 to 100"),
        ("test", "labels", np.full(11, 1), r"test labels of type int64 and shape \(11,\)"),
        ("train", "images", np.zeros((50, 60, 60), np.uint8), r"shape \(50, 60, 60\)"),
        ("train", "images", np.zeros((50, 3, 60, 60)), "type float64"),
        ("test", None, None, "no images and labels in a part 'test'"),
    ],
)
def test_wrong_content_is_one_clear_error(tmp_path: Path, part: str, field: str | None, value: object, said: str) -> None:
    content: dict = written.content()
    if field is None:
        del content[part]
    else:
        content[part][field] = value
    written.write_content(tmp_path, content)
    with pytest.raises(IntegrityError, match=said) as caught:
        Spherical().official(files(tmp_path), "clean")
    assert "s2_cifar100.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_is_refused(tmp_path: Path) -> None:
    written.write_content(tmp_path, [1, 2])
    with pytest.raises(IntegrityError, match="part 'train'"):
        Spherical().official(files(tmp_path), "clean")


@pytest.mark.parametrize("share", [0.01, 0.6, 0.999])
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    written.write(tmp_path)
    path = tmp_path / "spherical" / "s2_cifar100.gz"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(IntegrityError, match=r"s2_cifar100\.gz"):
        Spherical().official(files(tmp_path), "clean")
