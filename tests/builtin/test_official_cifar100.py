"""CIFAR-100 from its published pickles, and the way both archives of the CIFAR family are read."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from official_files import cifar100 as written

from pare_bench.builtin.suites.nas360.cifar100 import Cifar100
from pare_bench.contracts.task import Split
from pare_bench.datasets import cifar
from pare_bench.datasets.official import OfficialFiles, official_data
from pare_bench.errors import DataMissingError, IntegrityError

PUBLISHED_MEAN, PUBLISHED_STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)


def files(root: Path) -> OfficialFiles:
    return OfficialFiles(root, "cifar100")


def reference(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixel by pixel from the rows: 1024 red, 1024 green, 1024 blue bytes."""
    rows, labels = written.arrays(part)
    images = np.empty((len(rows), 3, 32, 32))
    for channel in range(3):
        plane = rows[:, 1024 * channel : 1024 * (channel + 1)] / 255.0
        images[:, channel] = ((plane - PUBLISHED_MEAN[channel]) / PUBLISHED_STD[channel]).reshape(-1, 32, 32)
    return images, np.array(labels)


def check(split: Split, images: np.ndarray, labels: np.ndarray) -> None:
    assert split.inputs.shape == images.shape
    assert split.inputs.dtype == np.float32
    np.testing.assert_allclose(np.asarray(split.inputs[:]), images, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(split.targets), labels)
    assert split.targets.dtype == np.int64


@pytest.mark.parametrize("text_keys", [False, True])
def test_clean_track_validates_on_the_last_fifth_in_file_order(tmp_path: Path, text_keys: bool) -> None:
    written.write(tmp_path, text_keys=text_keys)
    splits = Cifar100().official(files(tmp_path), "clean")
    images, labels = reference("train")
    check(splits.train, images[:40], labels[:40])
    check(splits.val, images[40:], labels[40:])
    check(splits.test, *reference("test"))


def test_paper_track_trains_on_all_and_validates_on_the_test_split(tmp_path: Path) -> None:
    written.write(tmp_path)
    splits = Cifar100().official(files(tmp_path), "paper")
    check(splits.train, *reference("train"))
    check(splits.val, *reference("test"))
    check(splits.test, *reference("test"))


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w"])
def test_the_archive_holds_the_same_images(tmp_path: Path, mode: str) -> None:
    path = written.write_archive(tmp_path, mode=mode)
    for part, (images, labels) in {part: written.arrays(part) for part in written.SIZES}.items():
        arrays = cifar.convert_cifar100([path])
        np.testing.assert_array_equal(arrays[f"{part}_images"], images.reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(arrays[f"{part}_labels"], labels)


def test_an_archive_is_read_where_it_is_there(tmp_path: Path) -> None:
    written.write_archive(tmp_path)
    splits = Cifar100().official(files(tmp_path), "paper")
    check(splits.train, *reference("train"))


def test_the_published_digest_is_asked_for(tmp_path: Path) -> None:
    written.write_archive(tmp_path)
    with pytest.raises(IntegrityError, match="published is eb9058c3a382ffc7106e4002c42a8d85"):
        official_data(Cifar100(), tmp_path)


def test_the_digest_of_the_data_covers_files_and_track(tmp_path: Path) -> None:
    written.write(tmp_path / "a")
    written.write(tmp_path / "b", seed=1)
    digests = {official_data(Cifar100(), tmp_path / folder, track).sha256 for folder in "ab" for track in ("clean", "paper")}
    assert len(digests) == 4


def test_the_flat_folder_of_the_released_code_is_found(tmp_path: Path) -> None:
    written.write(tmp_path)
    (tmp_path / "cifar100" / "cifar-100-python").rename(tmp_path / "cifar-100-python")
    check(Cifar100().official(files(tmp_path), "paper").train, *reference("train"))


def test_augmentation_takes_official_batches(tmp_path: Path) -> None:
    written.write(tmp_path)
    train = Cifar100().official(files(tmp_path), "clean").train
    batch, targets = Cifar100().augment(train.inputs[:8], train.targets[:8], np.random.default_rng(0))
    assert batch.shape == (8, 3, 32, 32)
    np.testing.assert_array_equal(targets, train.targets[:8])


def test_nothing_there_names_the_archive(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"cifar-100-python\.tar\.gz"):
        Cifar100().official(files(tmp_path), "clean")


def rewrite(root: Path, **changed: object) -> None:
    """Replace fields of the training pickle; None takes one away."""
    content = pickle.loads(written.pickled("train", text_keys=True)) | changed  # noqa: S301 - our own bytes
    path = root / "cifar100" / "cifar-100-python" / "train"
    path.write_bytes(pickle.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fine_labels": [*range(49), 100]}, "labels from 0 to 100, 0 to 99 were expected"),
        ({"fine_labels": list(range(49))}, r"labels of type int64 and shape \(49,\)"),
        ({"fine_labels": None}, "no field 'fine_labels'"),
        ({"data": np.zeros((50, 3000), np.uint8)}, r"shape \(50, 3000\)"),
        ({"data": np.zeros((50, 3072), np.float32)}, "type float32"),
    ],
)
def test_wrong_content_is_one_clear_error(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    written.write(tmp_path)
    rewrite(tmp_path, **changed)
    with pytest.raises(IntegrityError, match=said) as caught:
        Cifar100().official(files(tmp_path), "clean")
    assert "cifar-100-python/train" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0001, 0.3, 0.99])
def test_truncated_pickles_are_refused(tmp_path: Path, share: float) -> None:
    written.write(tmp_path)
    path = tmp_path / "cifar100" / "cifar-100-python" / "train"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(IntegrityError, match="train"):
        Cifar100().official(files(tmp_path), "clean")


def test_a_pickle_with_code_is_not_run(tmp_path: Path) -> None:
    written.write(tmp_path)
    (tmp_path / "cifar100" / "cifar-100-python" / "train").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(IntegrityError, match="os"):
        Cifar100().official(files(tmp_path), "clean")
    assert not (tmp_path / "ran").exists()


def test_truncated_and_incomplete_archives_are_refused(tmp_path: Path) -> None:
    path = written.write_archive(tmp_path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(IntegrityError, match=r"tar\.gz"):
        cifar.convert_cifar100([path])
    with pytest.raises(IntegrityError, match="does not hold 'test'"):
        cifar.convert_cifar100([written.write_archive(tmp_path, parts=("train",))])


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    written.write(tmp_path)
    rewrite(tmp_path, data=np.zeros((1, 3072), np.uint8), fine_labels=[0])
    with pytest.raises(IntegrityError, match="too few"):
        Cifar100().official(files(tmp_path), "clean")


def test_cifar10_batches_come_in_their_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    batches = {name: (rng.integers(0, 256, (4, 3072), np.uint8), rng.integers(0, 10, 4).tolist()) for name in cifar.CIFAR10}
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        for name in sorted(batches, reverse=True):
            content = pickle.dumps({b"data": batches[name][0], b"labels": batches[name][1]}, protocol=2)
            (folder / name).write_bytes(content)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    expected = np.concatenate([batches[f"data_batch_{number}"][0] for number in range(1, 6)]).reshape(20, 3, 32, 32)
    labels = [label for number in range(1, 6) for label in batches[f"data_batch_{number}"][1]]
    for sources in ([archive], [tmp_path / name for name in reversed(cifar.CIFAR10_MEMBERS)]):
        arrays = cifar.convert_cifar10(sources)
        np.testing.assert_array_equal(arrays["train_images"], expected)
        np.testing.assert_array_equal(arrays["train_labels"], labels)
        np.testing.assert_array_equal(arrays["test_images"], batches["test_batch"][0].reshape(4, 3, 32, 32))
        np.testing.assert_array_equal(arrays["test_labels"], batches["test_batch"][1])
