"""The official Cosmic files, against a reading of their own."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from official_files import cosmic as written
from sklearn.metrics import roc_auc_score

from pare_bench.builtin.suites.nas360.cosmic import Cosmic
from pare_bench.builtin.suites.nas360.cosmic_files import GALAXY_FIELDS
from pare_bench.contracts.task import Split, Splits, Track
from pare_bench.datasets.official import OfficialFiles
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.scoring.tracks import released_metrics
from pare_bench.seeds import stream

pytestmark = pytest.mark.filterwarnings("ignore:cosmic has:RuntimeWarning")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    written.write(folder)
    return folder


@pytest.fixture
def copy(root, tmp_path):
    """The files of the test part and of one training visit, as links: a test replaces what it changes."""
    for path in (root / "cosmic").rglob("*.npy"):
        place = tmp_path / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, place)
    return tmp_path


def read(root: Path, track: Track = "clean") -> Splits:
    return Cosmic().official(OfficialFiles(root, "cosmic", Cosmic.official_files), track)


def replace(path: Path, array: np.ndarray) -> None:
    path.unlink()
    np.save(path, array)


def walk(root: Path, part: str) -> list[Path]:
    """Files of the visits with a galaxy, in the order of their paths."""
    base = root / "cosmic" / f"npy_{part}"
    files = [path for visit in written.VISITS[part] for path in (base / "f435w" / visit).iterdir() if path.name != "sky.npy"]
    return sorted(files, key=lambda path: path.relative_to(base).as_posix())


def sky_of(path: Path) -> float:
    sky = path.parent / "sky.npy"
    return float(np.load(sky)[int(path.name.split("_")[0]) - 1]) if sky.exists() else 0.0


def assert_same(split: Split, files: list[Path], unit: float, added: list[float] | None = None) -> None:
    assert split.inputs.shape == (len(files), 1, 128, 128)
    assert split.inputs.dtype == split.targets.dtype == np.float32
    assert split.extras["ignore"].dtype == np.bool_
    for index, path in enumerate(files):
        planes = np.load(path)
        image = planes[0, 64:192, 64:192].astype(np.float64) + (added[index] if added else 0)
        np.testing.assert_allclose(split.inputs[index, 0], image / unit, rtol=1e-6, atol=1e-5 / unit)
        np.testing.assert_array_equal(split.targets[index], planes[1, 64:192, 64:192])
        np.testing.assert_array_equal(split.extras["ignore"][index], planes[2, 64:192, 64:192] == 1 if len(planes) == 3 else False)


def test_the_clean_track_validates_on_the_last_tenth_and_adds_no_sky(root):
    train, test = walk(root, "train"), walk(root, "test")
    splits = read(root)
    assert_same(splits.train, train[:36], 100)
    assert_same(splits.val, train[36:], 100)
    assert_same(splits.test, test, 100)
    np.testing.assert_allclose(splits.train.extras["sky"], [sky_of(path) / 100 for path in train[:36]], rtol=1e-6)
    assert "sky" not in splits.val.extras
    assert "sky" not in splits.test.extras


def test_the_paper_track_has_raw_counts_and_sky_on_the_test_split(root):
    train, test = walk(root, "train"), walk(root, "test")
    splits = read(root, "paper")
    assert_same(splits.train, train, 1)
    np.testing.assert_allclose(splits.train.extras["sky"], [sky_of(path) for path in train], rtol=1e-6)
    share = stream("cosmic", "released sky of the test files").uniform(-0.9, 3, len(test))
    added = [float(factor) * sky_of(path) for factor, path in zip(share, test, strict=True)]
    assert len({round(value) for value in added}) > 5
    assert_same(splits.test, test, 1, added)
    assert_same(splits.val, test, 1, added)
    np.testing.assert_array_equal(splits.test.inputs, read(root, "paper").test.inputs)


def test_training_batches_get_new_sky_each_time(root):
    batch = read(root).train.take(np.arange(30))
    kept = batch.inputs.copy()
    first, again, other = (Cosmic().augment_examples(batch, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(batch.inputs, kept)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, other.inputs)
    assert first.inputs.dtype == np.float32
    np.testing.assert_array_equal(first.targets, batch.targets)
    np.testing.assert_array_equal(first.extras["ignore"], batch.extras["ignore"])
    share = np.random.default_rng(0).uniform(-0.9, 3, 30)
    for index in range(30):
        np.testing.assert_allclose(first.inputs[index], kept[index] + share[index] * batch.extras["sky"][index], rtol=1e-5, atol=1e-6)


def test_batches_of_the_twin_stay_as_they_are():
    images = np.ones((2, 1, 128, 128), np.float32)
    batch = Split(images, images[:, 0], {"ignore": np.zeros((2, 128, 128), bool)})
    assert Cosmic().augment_examples(batch, np.random.default_rng(0)) is batch


def test_other_counts_than_the_published_are_warned_of(root):
    with pytest.warns(RuntimeWarning, match="cosmic has 40 train files, published are 4830"):
        read(root)


def test_the_published_counts_split_as_published(monkeypatch):
    from pare_bench.builtin.suites.nas360 import cosmic_files

    def numbered(files, part):
        count = {"train": 4830, "test": 420}[part]
        small = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None], (count, 1, 1))
        return cosmic_files.Exposures(small, small, small > 0, small[:, 0, 0])

    monkeypatch.setattr(cosmic_files, "read", numbered)
    clean, paper = (read(Path("nowhere"), track) for track in ("clean", "paper"))
    assert [split.targets.ravel().tolist() for split in (clean.train, clean.val, clean.test)] == [
        list(range(4347)),
        list(range(4347, 4830)),
        list(range(420)),
    ]
    assert paper.train.targets.ravel().tolist() == list(range(4830))
    assert paper.val.targets.ravel().tolist() == list(range(420))


@pytest.mark.parametrize("kind", [np.str_, object])
def test_lists_select_the_files_in_whatever_order(copy, kind):
    chosen = walk(copy, "train")[3:33]
    entries = [f"./cosmic/{path.relative_to(copy / 'cosmic').as_posix()}" for path in chosen]
    np.save(copy / "cosmic" / "train_dirs.npy", np.array(entries[::-1], dtype=kind))
    splits = read(copy)
    assert_same(splits.train, chosen[:27], 100)
    assert_same(splits.val, chosen[27:], 100)
    assert_same(splits.test, walk(copy, "test"), 100)


def test_the_table_of_visits():
    assert len(GALAXY_FIELDS) == 27
    assert all(re.fullmatch(r"\d{4,5}_[0-9a-z]{1,2}", field) for field in GALAXY_FIELDS)


def test_the_released_metric_is_the_area_under_the_binarised_curve(root):
    splits = read(root, "paper")
    outputs = np.random.default_rng(0).normal(-1, 1, splits.test.targets.shape).astype(np.float32) + splits.test.targets
    valid = ~splits.test.extras["ignore"]
    expected = 1 - roc_auc_score((splits.test.targets * valid).ravel(), (outputs * valid).ravel() > 0)
    assert released_metrics(Cosmic(), 4)[0].compute(outputs, splits.test) == pytest.approx(expected, rel=1e-9)


def image(**changes: float) -> np.ndarray:
    planes = written.planes(np.random.default_rng(0))
    for plane, value in changes.items():
        planes[["image", "mask", "ignore"].index(plane), 100, 100] = value
    return planes


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (image(image=np.nan), "has values that are not finite"),
        (image(mask=0.5), "has a mask that is not 0 and 1"),
        (image(ignore=2), "has a mask that is not 0 and 1"),
        (image()[0], r"has shape \(256, 256\), expected \(3 or 2, height, width\) of at least 192 pixels"),
        (image()[:1], r"has shape \(1, 256, 256\)"),
        (image()[:, :150], r"has shape \(3, 150, 256\)"),
        (image().astype(str), "expected real numbers"),
        (image()[:, :192, :192].astype(object), "cannot be read as a plain .npy file"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(copy, array, message):
    path = walk(copy, "test")[2]
    replace(path, array)
    with pytest.raises(IntegrityError, match=message) as caught:
        read(copy)
    assert f"'npy_test/f435w/{path.parent.parent.name}/{path.parent.name}/{path.name}'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (np.ones(3), "does not start with a number from 1 to 3"),
        (np.ones((9, 2)), r"sky.npy' has shape \(9, 2\), expected a list of finite sky levels"),
        (np.full(9, np.inf), "expected a list of finite sky levels"),
    ],
)
def test_wrong_sky_levels_are_refused(copy, levels, message):
    replace(copy / "cosmic" / "npy_test" / "f435w" / "10342" / "3" / "sky.npy", levels)
    with pytest.raises(IntegrityError, match=message):
        read(copy)


def test_a_truncated_file_is_refused(copy):
    path = walk(copy, "train")[0]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1000])
    with pytest.raises(IntegrityError, match=rf"{path.name}' cannot be read as a plain \.npy file, it may be truncated"):
        read(copy)


def test_a_link_out_of_the_folder_is_refused(copy, tmp_path_factory):
    path = walk(copy, "train")[0]
    outside = tmp_path_factory.mktemp("outside") / path.name
    shutil.copy(path, outside)
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(IntegrityError, match="is a link that leads out of 'npy_train'"):
        read(copy)


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ("./cosmic/npy_train/f435w/../../secret.npy", IntegrityError, "names './cosmic/npy_train/f435w/../../secret.npy', expected"),
        ("./cosmic/npy_test/f435w/10342/3/1_0.npy", IntegrityError, "expected './cosmic/npy_train/f435w/<proposal>/<visit>/<file>.npy'"),
        ("./cosmic/npy_train/f435w/9490/a3/99_0.npy", DataMissingError, "names './cosmic/npy_train/f435w/9490/a3/99_0.npy', which is not there"),
    ],
)
def test_a_list_that_names_something_else_is_refused(copy, entry, error, message):
    np.save(copy / "cosmic" / "train_dirs.npy", np.array([entry]))
    with pytest.raises(error, match=re.escape(message)):
        read(copy)


@pytest.mark.parametrize("array", [np.arange(4), np.array([os.sep, 3], object)])
def test_a_list_of_something_else_is_refused(copy, array):
    np.save(copy / "cosmic" / "train_dirs.npy", array)
    with pytest.raises(IntegrityError, match=r"'train_dirs\.npy' is not a list of paths"):
        read(copy)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_folder_says_how_to_get_it(copy, part):
    shutil.rmtree(copy / "cosmic" / f"npy_{part}")
    with pytest.raises(DataMissingError, match=f"npy_{part}") as caught:
        read(copy)
    assert caught.value.hint == "pare-bench data fetch cosmic"


def test_a_folder_without_a_visit_of_the_task_is_refused(copy):
    for visit in written.VISITS["test"]:
        shutil.rmtree(copy / "cosmic" / "npy_test" / "f435w" / visit)
    with pytest.raises(IntegrityError, match="'npy_test/f435w' has no file of a visit with a resolved galaxy"):
        read(copy)
