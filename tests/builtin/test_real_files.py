"""The official readers against files made by other hands, where the checkout has them: value by value against a reading of their own.

``PARE_BENCH_REAL_FILES`` (or ``../shared/real``) has files by PDEBench's own generators and writers, with fewer samples and some on coarser grids,
and the whole release of PhysioNet/CinC 2017. Their digests are not the published ones, so these are not asked for.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pdebench_files as written
import pytest
from scipy.io import loadmat
from sklearn.model_selection import train_test_split

from pare_bench.builtin.suites.nas360.ecg import Ecg
from pare_bench.builtin.suites.pdebench import published_reader
from pare_bench.datasets.official import OfficialFiles
from pare_bench.errors import IntegrityError
from pare_bench.registry.names import Registry

REAL = Path(os.environ.get("PARE_BENCH_REAL_FILES") or Path(__file__).resolve().parents[3] / "shared" / "real")
REGISTRY = Registry.from_environment()


def real(name: str) -> Path:
    path = REAL / name
    if not path.is_file():
        pytest.skip(f"no '{path}': these files are not in the project")
    return path


#: task: cells a side in the file, datasets in the order of the task's quantities, frame of training and testing on the paper track, that of clean.
PLANS = {
    "advection": (1024, ["tensor"], 200, 200, 200),
    "burgers": (128, ["tensor"], 200, 200, 200),
    "diffusion_reaction_1d": (128, ["tensor"], 29, 99, 100),
    "diffusion_sorption": (256, None, 100, 99, 100),
    "navier_stokes_1d": (64, ["density", "Vx", "pressure"], 100, 100, 100),
    "darcy_2d": (64, None, 1, 1, 1),
    "shallow_water": (128, None, 100, 99, 100),
    "diffusion_reaction_2d": (128, None, 100, 99, 100),
    "navier_stokes_2d": (32, ["density", "Vx", "Vy", "pressure"], 20, 20, 20),
}


def fields(path: Path, task: str) -> np.ndarray:
    """Return ``[samples frames quantities *grid]`` of a file: all of it."""
    with h5py.File(path) as file:
        if task == "darcy_2d":
            return np.stack([file["nu"][:], file["tensor"][:, 0]], axis=1)[:, :, None]
        if names := PLANS[task][1]:
            return np.stack([file[name][:] for name in names], axis=2)
        return np.stack([np.moveaxis(file[name]["data"][:], -1, 1) for name in sorted(file)])


def firsts(starts: np.ndarray) -> list[int]:
    """Return for each sample the first one with the same start."""
    return [next(other for other in range(len(starts)) if np.array_equal(starts[other], start)) for start in starts]


def coarser(values: np.ndarray, points: int, *, means: bool) -> np.ndarray:
    step = values.shape[-1] // points
    axes = values.ndim - 2 if values.ndim < 4 else 2
    if not means:
        return values[..., ::step] if axes == 1 else values[..., ::step, ::step]
    places = values.astype(np.float64)
    return sum(places[..., i::step, j::step] for i in range(step) for j in range(step)) / step**2


@pytest.mark.parametrize("share", [1, 2])
@pytest.mark.parametrize("task", PLANS)
def test_every_frame_is_read_exactly(task, share, tmp_path, monkeypatch):
    """All samples, on all cells and on half as many a side, under both laws."""
    path = real(f"pdebench/{written.LAYOUTS[task][0]}")
    monkeypatch.chdir(tmp_path)
    cells, _, train, test, end = PLANS[task]
    whole, points = fields(path, task), cells // share
    assert whole.shape[-1] == cells
    for law in ("published", "well_posed"):
        if task == "darcy_2d" and law == "well_posed":
            continue  # both laws read the stored frame
        means = law == "well_posed" and task in {"shallow_water", "diffusion_reaction_2d"}
        arrays = published_reader.frames(path, task, law, points, 1)
        # Means may differ by the order of their sums.
        compare = (lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)) if means else np.testing.assert_array_equal
        compare(arrays["first"], coarser(whole[:, 0], points, means=means))
        wanted = list(dict.fromkeys((train, test))) if law == "published" else [end]
        assert arrays["later"].shape[1] == len(wanted)
        for place, frame in enumerate(wanted):
            compare(arrays["later"][:, place], coarser(whole[:, frame], points, means=means))
        # Two of the four dams have the same start.
        assert arrays["origin"].tolist() == arrays["alike"].tolist() == firsts(whole[:, 0])


@pytest.mark.parametrize("track", ["clean", "paper"])
@pytest.mark.parametrize("task", PLANS)
def test_both_tracks_split_what_is_there_or_say_what_is_missing(task, track, tmp_path):
    path = real(f"pdebench/{written.LAYOUTS[task][0]}")
    (tmp_path / task).mkdir()
    shutil.copy(path, tmp_path / task / path.name)
    cells, _, train_frame, test_frame, end = PLANS[task]
    owner = REGISTRY.component("task", task)
    built = REGISTRY.build("task", task, {"points": cells, **(owner.released_params if track == "paper" else {})})
    files = OfficialFiles(tmp_path, task, written.undigested(owner))
    whole = fields(path, task)
    if len(whole) < 10:
        with pytest.raises(IntegrityError, match=f"has {len(whole)} samples with {len(set(firsts(whole[:, 0])))} different starts, needed are 10"):
            built.official(files, track)
        return
    splits, count = built.official(files, track), len(whole) // 10
    rows = np.arange(len(whole))
    last = task in {"diffusion_sorption", "shallow_water", "diffusion_reaction_2d", "navier_stokes_2d"}
    tested = rows[-count:] if last else rows[:count]
    assert (len(splits.test), len(splits.train)) == (count, len(whole) - count * (1 if track == "paper" else 2))
    starts, ends = whole[tested, 0], whole[tested, test_frame if track == "paper" else end]
    if track == "clean":
        scales = [(0.45, 0.55)] if task == "darcy_2d" else owner.scales
        wanted = np.stack([(starts[:, place] - offset) / scale for place, (scale, offset) in enumerate(scales)], axis=1)
        np.testing.assert_allclose(splits.test.inputs[:], wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(splits.test.targets[:], ends if len(scales) > 1 else ends[:, 0])
    elif task.startswith("navier_stokes"):
        trained = rows[:-count] if last else rows[count:]
        order = [0, 2, 1] if task == "navier_stokes_1d" else [0, 3, 1, 2]
        first = whole[trained, 0][:, order].astype(np.float64)
        final = first if task == "navier_stokes_1d" else whole[trained, end][:, order].astype(np.float64)
        units = [(values.mean(0), values.std(0, ddof=1) + (1e-5 if task == "navier_stokes_1d" else 0)) for values in (first, final)]
        pairs = zip((splits.test.inputs[:], splits.test.targets[:]), (starts, ends), units, strict=True)
        for found, values, (mean, std) in pairs:
            np.testing.assert_allclose(found.reshape(count, -1), ((values[:, order] - mean) / std).reshape(count, -1), rtol=2e-5, atol=2e-5)
    else:
        np.testing.assert_array_equal(splits.test.inputs[:], starts)
        np.testing.assert_array_equal(splits.test.targets[:], ends[:, 0])
        np.testing.assert_array_equal(splits.train.targets[:], whole[rows[:-count] if last else rows[count:], train_frame, 0])


def test_the_published_burgers_target_is_the_mean_of_the_input_in_single_precision():
    """2e-11 in the equation; docs/suites/pdebench-official.md says what the files have."""
    whole = fields(real("pdebench/1D_Burgers_Sols_Nu1.0.hdf5"), "burgers")[:, :, 0].astype(np.float64)
    mean, end = whole[:, 0].mean(axis=1, keepdims=True), whole[:, 200]
    errors = np.sqrt(((end - mean) ** 2).mean(1) / (end**2).mean(1))
    assert errors.mean() == pytest.approx(1.1e-4, abs=0.05e-4)
    assert 0.7e-4 < errors.min() < errors.max() < 1.6e-4


def recordings_of(archive: zipfile.ZipFile, table: str) -> tuple[list[int], list[str]]:
    """Return lengths and letters of the recordings in the order of a table."""
    rows = [row for row in csv.reader(io.StringIO(table)) if len(row[1]) == 1]
    return [loadmat(io.BytesIO(archive.read(f"training2017/{name}.mat")))["val"].shape[1] for name, _ in rows], [letter for _, letter in rows]


def windows(lengths: list[int], letters: list[str], chosen: list[int], stride: int | None = None) -> int:
    strides = {"N": 500, "A": 83, "O": 250, "~": 25}
    return sum(len(range(0, lengths[number] - 1000, stride or strides[letters[number]])) for number in chosen)


@pytest.mark.slow
@pytest.mark.parametrize("version", [3, 2])
def test_the_whole_ecg_release_has_the_published_counts(version, tmp_path):
    """Version 3 of the labels beside the zip, or version 2, which the zip has."""
    (tmp_path / "ecg").mkdir()
    shutil.copy(real("ecg/training2017.zip"), tmp_path / "ecg")
    with zipfile.ZipFile(tmp_path / "ecg" / "training2017.zip") as archive:
        text = archive.read("training2017/REFERENCE.csv").decode()
        if version == 3:
            text = real("ecg/REFERENCE-v3.csv").read_text()
            (tmp_path / "ecg" / "REFERENCE-v3.csv").write_text(text)
        lengths, letters = recordings_of(archive, text)
        first = loadmat(io.BytesIO(archive.read("training2017/A00001.mat")))["val"][0].astype(np.float64)
    assert len(lengths) == 8528
    train, rest = train_test_split(list(range(8528)), test_size=0.2, random_state=0)
    val, test = train_test_split(rest, test_size=0.5, random_state=0)
    task = Ecg()
    files = OfficialFiles(tmp_path, "ecg", Ecg.official_files)
    if version == 2:
        with pytest.warns(RuntimeWarning, match="training2017.zip' are version 2, of which 148 of 8528 differ from version 3"):
            clean = task.official(files, "clean")
    else:
        clean = task.official(files, "clean")
    assert task.found == f"labels of version {version}"
    assert len(clean.train) == windows(lengths, letters, train)
    for split, chosen in ((clean.val, val), (clean.test, test)):
        assert len(split) == sum(max(1, windows(lengths, letters, [number], 500)) for number in chosen)
    with pytest.warns(RuntimeWarning) if version == 2 else contextlib.nullcontext():
        paper = task.official(files, "paper")
    train_90, test_10 = train_test_split(list(range(8528)), test_size=0.1, random_state=0)
    assert (len(paper.train), len(paper.test)) == (windows(lengths, letters, train_90), windows(lengths, letters, test_10))
    if version == 3:
        assert (len(clean.train), len(paper.train), len(paper.test)) == (261_740, 296_044, 32_471)
        # The number in NAS-Bench-360's configuration: both parts that are not tested, of 80 / 10 / 10.
        assert windows(lengths, letters, train) + windows(lengths, letters, val) == 295_021
    split, place = next(
        (split, groups.index(0)) for split in (clean.train, clean.val, clean.test) if 0 in (groups := split.extras["groups"][:].tolist())
    )
    np.testing.assert_allclose(split.inputs[np.array([place])][0, 0], (first[:1000] - first.mean()) / first.std(), rtol=1e-6, atol=1e-6)
