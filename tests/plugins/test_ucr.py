"""plugins/pare-bench-ucr as its user would drive it: installed by pip, listed, checked and run by the command line, on the files of aeon's wheel."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pare_bench.errors import DataMissingError, IntegrityError

PLUGIN = Path(__file__).parents[2] / "plugins" / "pare-bench-ucr"
SPEC = importlib.util.find_spec("aeon")
# Found, not imported: it is enough that its files are here (pip install --no-deps aeon==1.6.0).
pytestmark = pytest.mark.skipif(SPEC is None, reason="the package aeon, which carries the series, is not installed")
#: Task -> training, validation and test series, of the archives' own numbers.
SIZES = {
    "ucr_arrow_head": (30, 6, 175),
    "ucr_gun_point": (41, 9, 150),
    "ucr_italy_power_demand": (55, 12, 1029),
    "ucr_osu_leaf": (163, 37, 242),
    "ucr_acsf1": (80, 20, 100),
    "ucr_pickup_gesture": (40, 10, 50),
    "uea_basic_motions": (32, 8, 40),
    "uea_japanese_vowels": (216, 54, 370),
}


@pytest.fixture
def tasks(monkeypatch):
    """Return the modules of the distribution, read from its folder."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    from pare_bench_ucr import tasks

    return tasks


@pytest.fixture
def files(tasks):
    from pare_bench_ucr import files

    return files


def built(tasks, name):
    return next(kind for kind in tasks.ArchiveTask.__subclasses__() if kind.name == name)()


@pytest.mark.parametrize(("name", "sizes"), SIZES.items())
def test_the_split_is_the_archives_and_validation_is_of_its_training_file(tasks, files, name, sizes):
    task = built(tasks, name)
    splits = task.bundled(0, "clean")
    assert (len(splits.train), len(splits.val), len(splits.test)) == sizes
    (series, labels), (_, tested) = files.read_problem(task.problem)
    assert np.array_equal(splits.test.targets, tested)
    rows = np.concatenate([splits.train.extras["groups"], splits.val.extras["groups"]])
    assert np.array_equal(np.sort(rows), np.arange(len(series)))
    assert np.array_equal(np.concatenate([splits.train.targets, splits.val.targets]), labels[rows])
    # Each class is in training and in validation.
    assert set(splits.val.targets) == set(splits.train.targets) == set(range(task.target.num))


def test_validation_follows_the_seed_and_the_test_split_does_not(tasks):
    first, second = (built(tasks, "uea_basic_motions").bundled(seed, "clean") for seed in (0, 1))
    assert not np.array_equal(first.val.extras["groups"], second.val.extras["groups"])
    assert np.array_equal(first.test.targets, second.test.targets)


def test_the_scale_is_that_of_the_training_values(tasks, files):
    splits = built(tasks, "uea_basic_motions").bundled(0, "clean")
    assert np.abs(splits.train.inputs.mean(axis=(0, 2))).max() < 1e-5
    assert np.abs(splits.train.inputs.std(axis=(0, 2)) - 1).max() < 1e-5
    # Undone with training values alone, a test series is what stands in the file.
    (series, _), (tested, _) = files.read_problem("BasicMotions")
    values = np.stack([series[row] for row in splits.train.extras["groups"]])
    mean, deviation = values.mean(axis=(0, 2))[:, None], values.std(axis=(0, 2))[:, None]
    assert np.allclose(splits.test.inputs[3] * deviation + mean, tested[3], atol=1e-4)


def test_unequal_lengths_are_padded_with_zeros_at_the_end(tasks, files):
    splits = built(tasks, "uea_japanese_vowels").bundled(0, "clean")
    (series, _), (tested, _) = files.read_problem("JapaneseVowels")
    lengths = [each.shape[1] for each in tested]
    assert (min(each.shape[1] for each in series), max(lengths)) == (7, 29) == (min(lengths), splits.test.inputs.shape[2])
    for row, length in zip(splits.test.inputs, lengths, strict=True):
        assert not row[:, length:].any()
        assert row[:, :length].all()


def test_a_series_that_is_longer_than_promised_is_refused(files):
    with pytest.raises(ValueError, match="a series has 4 values, at most 3 are promised"):
        files.padded([np.zeros((1, 4))], 3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1,2:3,4:a\n1,?:3,4:b", "series 2: could not convert string to float"),
        ("1,2:3:a", "series 1: setting an array element"),
        ("1,nan:3,4:a", "series 1: a value is missing or not finite"),
        ("1,2:3,4:c", "series 1: label 'c' is not one of a b"),
        ("1,2", "series 1: label '1,2' is not one of a b"),
    ],
)
def test_what_is_no_series_is_refused_with_its_place(files, body, said):
    with pytest.raises(IntegrityError, match=rf"'x\.ts', {said}"):
        files.parse_series(f"@classLabel true A B\n@data\n{body}\n", "x.ts")


@pytest.mark.parametrize("text", ["1,2:a", "@classLabel false\n@data\n1:a", "@targetlabel true\n@data\n1:2.5"])
def test_what_has_no_classes_is_refused(files, text):
    with pytest.raises(IntegrityError, match=r"'x\.ts' is no \.ts file of classes"):
        files.parse_series(text, "x.ts")


def test_the_reader_says_what_aeons_own_says(files):
    """Needs aeon with all that it depends on, which the pinned versions exclude: skipped there, and done by hand (README)."""
    loader = pytest.importorskip("aeon.datasets", exc_type=ImportError).load_from_ts_file
    for name in files.PROBLEMS:
        for found, split in zip(files.read_problem(name), ("TRAIN", "TEST"), strict=True):
            series, labels = loader(str(files.data_folder() / name / f"{name}_{split}.ts"))
            assert all(np.array_equal(ours, theirs) for ours, theirs in zip(found[0], series, strict=True))
            # Numbers of classes against names: the same partition.
            assert len(set(zip(found[1].tolist(), labels, strict=True))) == len(set(labels))


@pytest.fixture
def copied(files, tmp_path, monkeypatch):
    """Return the folder of a copy of the data sets, in which the plugin now looks."""
    shutil.copytree(files.data_folder() / "GunPoint", tmp_path / "GunPoint")
    monkeypatch.setattr(files, "data_folder", lambda: tmp_path)
    return tmp_path / "GunPoint"


def test_a_changed_file_is_refused(tasks, copied):
    path = copied / "GunPoint_TEST.ts"
    path.write_bytes(path.read_bytes().replace(b"0.", b"1.", 1))
    with pytest.raises(IntegrityError, match=r"GunPoint_TEST\.ts' has sha256 [0-9a-f]{64}, pinned is 79332750"):
        built(tasks, "ucr_gun_point").bundled(0, "clean")
    path.write_bytes(b"\0" * 99)
    with pytest.raises(IntegrityError, match=r"GunPoint_TEST\.ts' has 99 bytes, pinned are 252305"):
        built(tasks, "ucr_gun_point").bundled(0, "clean")


def test_a_missing_file_is_said(tasks, copied):
    (copied / "GunPoint_TRAIN.ts").unlink()
    with pytest.raises(DataMissingError, match=r"GunPoint_TRAIN\.ts' is not in the installed aeon package") as raised:
        built(tasks, "ucr_gun_point").bundled(0, "clean")
    assert raised.value.hint == "pip install 'aeon==1.6.0'"


def test_without_aeon_it_is_said_what_to_install(files, monkeypatch):
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataMissingError, match="package 'aeon', which is not installed"):
        files.data_folder()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder into which pip has installed the distribution, from a copy, without network."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(target), str(PLUGIN)], check=True, capture_output=True, text=True, timeout=120)
    return target


def call(site, *argv, expect=0):
    env = {name: value for name, value in os.environ.items() if name != "PARE_BENCH_PLUGINS"}
    env |= {"PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "pare_bench", *argv], env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == expect, done.stderr
    return done


def test_it_is_listed(site):
    listed = {entry["name"]: entry for entry in json.loads(call(site, "list", "--format", "json").stdout) if entry["plugin"] == "ucr"}
    assert set(listed) == {"ucr", *SIZES}


def test_aeon_is_read_and_never_imported(tasks):
    """In a process of its own: it would take numba and pandas with it, or fail where they are not."""
    code = "import sys; from pare_bench_ucr.tasks import GunPoint; print(len(GunPoint().bundled(0, 'clean').test)); assert 'aeon' not in sys.modules"
    env = {**os.environ, "PYTHONPATH": f"{PLUGIN}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "150"), done.stderr


@pytest.mark.slow
def test_it_conforms(site):
    found = json.loads(call(site, "check", "ucr", *SIZES, "--format", "json").stdout)
    assert {(entry["name"], entry["state"]) for entry in found} == {(name, "conforms") for name in ("ucr", *SIZES)}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["constant", "full_finetune", "pare", "orca"])
def test_it_runs(site, tmp_path, method):
    """One data set of one channel and one of several with unequal lengths; the whole suite was run by hand (README)."""
    argv = ["run", "--method", method, "--suite", "ucr", "--preset", "smoke", "--device", "cpu", "--out", str(tmp_path), "--format", "json"]
    for name, floor in (("ucr_gun_point", 76 / 150), ("uea_japanese_vowels", 339 / 370)):
        (result,) = json.loads(call(site, *argv, "--task", name).stdout)
        assert (result["status"], result["served"]) == ("ok", False)
        record = json.loads(Path(result["path"]).read_text("utf-8"))
        sizes = record["task"]["sizes"]
        assert (record["task"]["tier"], (sizes["train"], sizes["val"], sizes["test"])) == ("bundled", SIZES[name])
        (metric,) = record["metrics"]
        assert (metric["name"], record["floor"]) == ("error_rate", pytest.approx(floor))
        assert metric["value"] <= floor or method != "constant"
    (again,) = json.loads(call(site, *argv, "--task", name).stdout)
    assert (again["served"], again["run_id"]) == (True, result["run_id"])
