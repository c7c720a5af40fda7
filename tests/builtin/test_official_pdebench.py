"""The official PDEBench files against a reading of their own: places written out by hand, value by value, on both tracks."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pdebench_files as written
import pytest

from pare_bench.builtin.suites.pdebench import conversion, published_reader
from pare_bench.builtin.suites.pdebench.official_data import split_rows
from pare_bench.builtin.suites.pdebench.published_files import PUBLISHED
from pare_bench.contracts.examples import in_memory
from pare_bench.contracts.task import Split, Splits
from pare_bench.datasets.official import OfficialFiles, official_data
from pare_bench.datasets.verify import verify_files
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.registry.names import Registry

REGISTRY = Registry.from_environment()
#: Of 20 samples: those that test are the first two of a stacked file, the last two of one with groups and of the large one.
FIRST = {"clean": (range(2, 18), (18, 19), (0, 1)), "paper": (range(2, 20), (0, 1), (0, 1))}
LAST = {"clean": (range(16), (16, 17), (18, 19)), "paper": (range(18), (18, 19), (18, 19))}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    for task in written.LAYOUTS:
        written.write(folder, task)
    return folder


def read(root: Path, task: str, track: str, **params) -> Splits:
    owner = REGISTRY.component("task", task)
    law = owner.released_params if track == "paper" else {}
    built = REGISTRY.build("task", task, {**law, **params})
    return built.official(OfficialFiles(root, task, written.undigested(owner)), track)


def assert_rows(split, count: int, example) -> None:
    """``example(i)`` gives input and target of the split's i-th example."""
    assert len(split) == count
    assert split.inputs.dtype == split.targets.dtype == np.float32
    for index in range(count):
        wanted_input, wanted_target = example(index)
        np.testing.assert_allclose(split.inputs[index : index + 1][0], wanted_input, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(split.targets[index : index + 1][0], wanted_target, rtol=2e-6, atol=2e-6)


def parts(splits: Splits, rows):
    return zip((splits.train, splits.val, splits.test), rows, strict=True)


# task, cells kept, stride; frames (0 is the start) of training and testing on the paper track and in clean; scale and offset of the clean input.
SCALAR = [
    ("advection", 64, 4, 200, 200, 200, 1.0, 0.0),
    ("burgers", 64, 1, 200, 200, 200, 1.0, 0.0),
    ("diffusion_reaction_1d", 32, 2, 29, 99, 100, 0.25, 0.5),
]


@pytest.mark.parametrize(("task", "points", "stride", "train_frame", "test_frame", "end", "scale", "offset"), SCALAR)
@pytest.mark.parametrize("track", ["clean", "paper"])
def test_lines(root, task, points, stride, train_frame, test_frame, end, scale, offset, track):
    with h5py.File(written.place(root, task)) as file:
        values = file["tensor"][:]
    splits = read(root, task, track, points=points)
    for split, rows in parts(splits, FIRST[track]):
        frame = (test_frame if split is splits.test else train_frame) if track == "paper" else end

        def example(index, rows=rows, frame=frame):
            start = np.array([values[rows[index], 0, cell * stride] for cell in range(points)])
            target = np.array([values[rows[index], frame, cell * stride] for cell in range(points)])
            return (start[None] - offset) / scale if track == "clean" else start[None], target

        assert_rows(split, len(rows), example)


# The cells kept a side, and scale and offset of the clean input. The paper track tests on the frame before the last.
GROUPS = [("diffusion_sorption", 64, 0.06, 0.1), ("shallow_water", 32, 0.25, 1.0)]


@pytest.mark.parametrize(("task", "points", "scale", "offset"), GROUPS)
def test_one_group_for_each_sample(root, task, points, scale, offset):
    with h5py.File(written.place(root, task)) as file:
        values = np.array([file[f"{index:04d}"]["data"][..., 0] for index in range(20)])
    for track, frames in (("clean", (100, 100)), ("paper", (100, 99))):
        splits = read(root, task, track, points=points)
        for split, rows in parts(splits, LAST[track]):
            frame = frames[split is splits.test]

            def example(index, rows=rows, frame=frame, track=track):
                start = values[rows[index], 0]
                return ((start - offset) / scale if track == "clean" else start)[None], values[rows[index], frame]

            assert_rows(split, len(rows), example)


def test_the_inhibitor_is_hidden_on_the_paper_track_alone(root):
    with h5py.File(written.place(root, "diffusion_reaction_2d")) as file:
        values = np.array([file[f"{index:04d}"]["data"][:] for index in range(20)])
    clean, paper = (read(root, "diffusion_reaction_2d", track, points=32) for track in ("clean", "paper"))
    for split, rows in parts(clean, LAST["clean"]):
        both = [(values[row, 0].transpose(2, 0, 1) / 0.5, values[row, 100].transpose(2, 0, 1)) for row in rows]
        assert_rows(split, len(rows), both.__getitem__)
    for split, rows in parts(paper, LAST["paper"]):
        # The activator at the start, the inhibitor at the end (training) or a frame before it (testing).
        pairs = [(values[row, 0, :, :, 0][None], values[row, 99 if split is paper.test else 100, :, :, 1]) for row in rows]
        assert_rows(split, len(rows), pairs.__getitem__)


def mean_of_blocks(field: np.ndarray, points: int) -> np.ndarray:
    block = len(field) // points
    places = [slice(place * block, (place + 1) * block) for place in range(points)]
    return np.array([[field[rows, columns].astype(np.float64).mean() for columns in places] for rows in places])


@pytest.mark.parametrize(("task", "scale", "offset"), [("shallow_water", 0.25, 1.0), ("diffusion_reaction_2d", 0.5, 0.0)])
def test_what_single_cells_start_from_is_averaged_in_clean_alone(tmp_path, task, scale, offset):
    """64 x 64 cells on 32 x 32: means of four cells in clean, one of the four on the paper track."""
    with h5py.File(written.write(tmp_path, task, samples=10, grid=(64, 64))) as file:
        values = np.array([file[f"{index:04d}"]["data"][:] for index in range(10)])
    clean, paper = (read(tmp_path, task, track, points=32) for track in ("clean", "paper"))
    ends = [1] if task == "diffusion_reaction_2d" else [0]
    for index in (0, 7):
        start, end = (np.moveaxis(values[index, frame], -1, 0) for frame in (0, 100))
        wanted = np.array([(mean_of_blocks(field, 32) - offset) / scale for field in start])
        np.testing.assert_allclose(clean.train.inputs[np.array([index])][0], wanted, rtol=1e-5, atol=1e-6)
        wanted = np.array([mean_of_blocks(field, 32) for field in end]).squeeze()
        np.testing.assert_allclose(clean.train.targets[np.array([index])][0], wanted, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(paper.train.inputs[np.array([index])][0], start[:1, ::2, ::2])
        np.testing.assert_array_equal(paper.train.targets[np.array([index])][0], end[ends].squeeze(0)[::2, ::2])


CENTRES = (np.arange(128) + 0.5) * 5 / 128 - 2.5


def dams(path: Path, radii: np.ndarray) -> None:
    """Write a start of PDEBench's shallow water for each radius, 128 x 128 cells; the later frames are random."""
    with h5py.File(path, "r+") as file:
        for index, radius in enumerate(radii):
            file[f"{index:04d}/data"][0, :, :, 0] = np.where(np.hypot(CENTRES[:, None], CENTRES) <= radius, 2, 1)


def test_every_start_of_shallow_water_can_be_told_apart(tmp_path):
    """Of every fourth of 128 x 128 cells many dams look alike: one input with several targets. Means of blocks tell them apart."""
    # A dam changes where its radius passes the centre of a cell: 80 times between 0.3 and 0.7, of which every second one is taken.
    radii = np.unique(np.hypot(CENTRES[:, None], CENTRES).round(9))
    radii = radii[(radii > 0.3) & (radii < 0.7)] + 1e-6
    assert len(radii) == 80
    path = written.write(tmp_path, "shallow_water", samples=40, grid=(128, 128))
    dams(path, radii[::2])
    clean = read(tmp_path, "shallow_water", "clean", points=32)
    starts = [start.tobytes() for split in (clean.train, clean.val, clean.test) for start in split.inputs[:]]
    with h5py.File(path) as file:
        different = len({file[name]["data"][0].tobytes() for name in file})
        alike = len({file[name]["data"][0, ::4, ::4].tobytes() for name in file})
    assert len(starts) == len(set(starts)) == different == 40
    # As released, every fourth cell is kept, and said.
    assert alike < 30
    said = rf"the 40 different starts of '.*2D_rdb_NA_NA\.h5' are {alike} different inputs on task\.points=32: one input has several targets"
    for track in ("paper", "clean"):
        with pytest.warns(RuntimeWarning, match=said):
            read(tmp_path, "shallow_water", track, points=32, law="published")


@pytest.mark.parametrize("track", ["clean", "paper"])
def test_darcy_stacks_coefficient_and_solution(root, track):
    with h5py.File(written.place(root, "darcy_2d")) as file:
        coefficient, solution = file["nu"][:], file["tensor"][:]
    assert set(np.unique(coefficient)) == {np.float32(0.1), np.float32(1)}
    for split, rows in parts(read(root, "darcy_2d", track, points=32), FIRST[track]):

        def example(index, rows=rows):
            places = [2 * cell for cell in range(32)]
            nu = np.array([[coefficient[rows[index], i, j] for j in places] for i in places])
            u = np.array([[solution[rows[index], 0, i, j] for j in places] for i in places])
            return (nu if track == "paper" else np.where(nu == 1, 1.0, -1.0))[None], u

        assert_rows(split, len(rows), example)


def test_gas_in_a_tube(root):
    with h5py.File(written.place(root, "navier_stokes_1d")) as file:
        density, velocity, pressure = (file[name][:] for name in ("density", "Vx", "pressure"))
    for split, rows in parts(read(root, "navier_stokes_1d", "clean", points=64), FIRST["clean"]):
        fields = [
            (
                [(density[row, 0] - 6) / 3, velocity[row, 0] / 0.8, (pressure[row, 0] - 60) / 30],
                [density[row, 100], velocity[row, 100], pressure[row, 100]],
            )
            for row in rows
        ]
        assert_rows(split, len(rows), fields.__getitem__)
    # Paper: density, pressure, velocity end to end; mean and deviation (n - 1) of the training inputs at each of 192 places, for targets, too.
    first, last = (np.concatenate([field[:, frame] for field in (density, pressure, velocity)], axis=1) for frame in (0, 100))
    mean = first[2:].astype(np.float64).mean(axis=0)
    std = np.sqrt(((first[2:] - mean) ** 2).sum(axis=0) / 17) + 1e-5
    for split, rows in parts(read(root, "navier_stokes_1d", "paper", points=64), FIRST["paper"]):
        assert_rows(split, len(rows), [(((first[row] - mean) / std)[None], (last[row] - mean) / std) for row in rows].__getitem__)


def test_stirred_gas(root):
    with h5py.File(written.place(root, "navier_stokes_2d")) as file:
        raw = {name: file[name][:, :, ::2, ::2] for name in ("density", "pressure", "Vx", "Vy")}
    for split, rows in parts(read(root, "navier_stokes_2d", "clean", points=32), LAST["clean"]):

        def example(index, rows=rows):
            fields = [raw[name][rows[index]] for name in ("density", "Vx", "Vy", "pressure")]
            scales = zip(fields, (3, 2.5, 2.5, 25), (5, 0, 0, 25), strict=True)
            return [(field[0] - offset) / scale for field, scale, offset in scales], [field[20] for field in fields]

        assert_rows(split, len(rows), example)
    stacked = np.stack([raw[name] for name in ("density", "pressure", "Vx", "Vy")], axis=1)
    # At each place, channel and frame, of the first 100 training samples: here all 18 of them.
    units = {
        frame: (stacked[:18, :, frame].astype(np.float64).mean(0), stacked[:18, :, frame].astype(np.float64).std(0, ddof=1)) for frame in (0, 20)
    }
    for split, rows in parts(read(root, "navier_stokes_2d", "paper", points=32), LAST["paper"]):
        wanted = [tuple((stacked[row, :, frame] - units[frame][0]) / units[frame][1] for frame in (0, 20)) for row in rows]
        assert_rows(split, len(rows), wanted.__getitem__)


def test_a_rollout_takes_frames_by_their_times(root):
    with h5py.File(written.place(root, "diffusion_reaction_2d")) as file:
        values = file["0003"]["data"][:]
    split = read(root, "diffusion_reaction_2d", "clean", points=32, predict="rollout", frames=4).train
    # Four frames up to time 5, steps of 0.05: each with activator, then inhibitor.
    wanted = [values[frame, :, :, quantity] for frame in (25, 50, 75, 100) for quantity in (0, 1)]
    np.testing.assert_array_equal(split.targets[np.array([3])][0], wanted)


def test_times_that_are_not_in_the_file_are_refused(root):
    with pytest.raises(IntegrityError, match=r"no frame at time 0\.714286: its 101 frames run from 0 to 5") as caught:
        read(root, "diffusion_reaction_2d", "clean", points=32, predict="rollout", frames=7).train  # noqa: B018
    assert "task.frames=10" in caught.value.hint


def test_frames_are_found_by_time_and_not_by_position(tmp_path):
    """A file with every tenth frame has the same end at another place."""
    with h5py.File(written.write(tmp_path, "burgers"), "r+") as file:
        values = file["tensor"][:, ::10]
        del file["tensor"], file["t-coordinate"]
        file["tensor"], file["t-coordinate"] = values, np.linspace(0, 2, 21)
    splits = read(tmp_path, "burgers", "clean", points=64)
    np.testing.assert_array_equal(splits.test.targets[:], values[:2, 20])
    # The released loader counts: every fifth of 21 frames is five, of which it takes the last, which is number 20 again.
    np.testing.assert_array_equal(read(tmp_path, "burgers", "paper", points=64).test.targets[:], values[:2, 20])
    with h5py.File(written.place(tmp_path, "burgers"), "r+") as file:
        file["t-coordinate"][:] = np.linspace(0, 1, 21)
    with pytest.raises(IntegrityError, match="no frame at time 2"):
        read(tmp_path, "burgers", "clean", points=64)


#: Table of the specification: frames of the published files, training and testing frame of the released loader.
LOADER = {
    "advection": (201, 200, 200),
    "burgers": (201, 200, 200),
    "navier_stokes_1d": (101, 100, 100),
    "diffusion_reaction_1d": (101, 29, 99),
    "diffusion_sorption": (101, 100, 99),
    "shallow_water": (101, 100, 99),
    "diffusion_reaction_2d": (101, 100, 99),
    "darcy_2d": (2, 1, 1),
    "navier_stokes_2d": (21, 20, 20),
}


@pytest.mark.parametrize("task", LOADER)
def test_the_released_frames_of_the_published_files(task):
    count, *frames = LOADER[task]
    assert PUBLISHED[task].loader_frames(count) == tuple(frames)
    owner = REGISTRY.component("task", task)
    if task != "darcy_2d":
        # The same times as in the generated twin.
        assert [owner.end * frame / (count - 1) for frame in frames] == pytest.approx(list(owner.published_ends))


#: Released cells a side, by the specification's strides.
GRIDS = {"advection": 256, "darcy_2d": 64, "navier_stokes_2d": 64, "shallow_water": 128, "diffusion_reaction_2d": 128}


@pytest.mark.parametrize("task", LOADER)
def test_preset_paper_has_the_released_grid(task):
    owner = REGISTRY.component("task", task)
    assert owner.preset_params["paper"] == {"points": GRIDS.get(task, 1024)}
    line = 3072 if task == "navier_stokes_1d" else GRIDS.get(task, 1024)
    assert REGISTRY.build("task", task, {**owner.preset_params["paper"], **owner.released_params}).inputs.grid[-1] == line


@pytest.mark.parametrize(("task", "chunk"), [("navier_stokes_2d", 1000), ("darcy_2d", 100)])
def test_the_released_score_flattens_fields_and_averages_chunks(task, chunk):
    """Of 1,100 samples: one chunk of 1,000 and one of 100, or eleven of 100."""
    rng = np.random.default_rng(3)
    fields = 4 if task == "navier_stokes_2d" else 1
    targets = rng.normal(size=(1100, fields, 4, 4)) * np.linspace(1, 9, fields)[:, None, None]
    outputs = targets + rng.normal(size=targets.shape)
    (metric,) = REGISTRY.build("task", task, {"points": 32, "law": "published"}).released_metrics(4)
    split = Split(np.zeros((1100, 1, 4, 4)), targets.squeeze(1) if fields == 1 else targets)
    errors = [np.sqrt(((o - t) ** 2).mean()) / np.sqrt((t**2).mean()) for o, t in zip(outputs, targets, strict=True)]
    wanted = np.mean([np.mean(errors[start : start + chunk]) for start in range(0, 1100, chunk)])
    assert metric.compute(outputs.squeeze(1) if fields == 1 else outputs, split) == pytest.approx(wanted, rel=1e-9)


def test_splits_of_ten_thousand_and_of_repeated_starts():
    rows = split_rows(np.arange(10_000), "first", "clean")
    assert [(part[0], part[-1], len(part)) for part in rows.values()] == [(1000, 8999, 8000), (9000, 9999, 1000), (0, 999, 1000)]
    rows = split_rows(np.arange(1000), "last", "paper")
    assert [(part[0], part[-1], len(part)) for part in rows.values()] == [(0, 899, 900), (900, 999, 100), (900, 999, 100)]
    assert split_rows(np.zeros(1000, int), "last", "clean") is None


def test_clean_shows_no_start_twice(tmp_path):
    """1,000 dams of 81 radii in the published file: here 60 samples of 30 starts."""
    path = written.write(tmp_path, "shallow_water", samples=60)
    order = np.random.default_rng(4).permutation(np.repeat(np.arange(30), 2))
    with h5py.File(path, "r+") as file:
        values = [file[f"{index:04d}/data"][:] for index in range(30)]
        for index, kind in enumerate(order):
            file[f"{index:04d}/data"][:] = values[kind]
    clean, paper = (read(tmp_path, "shallow_water", track, points=32) for track in ("clean", "paper"))
    assert [len(split) for split in (clean.train, clean.val, clean.test)] == [24, 3, 3]
    starts = [{start.tobytes() for start in split.inputs[:]} for split in (clean.train, clean.val, clean.test)]
    assert sum(map(len, starts)) == len(set.union(*starts)) == 30
    # As released: test repeats train.
    assert (len(paper.train), len(paper.test)) == (54, 6)
    assert {start.tobytes() for start in paper.test.inputs[:]} <= {start.tobytes() for start in paper.train.inputs[:]}


def test_starts_are_compared_on_all_cells_and_quantities(tmp_path):
    """Alike on the cells that are kept is not the same start."""
    path = written.write(tmp_path, "navier_stokes_1d")
    with h5py.File(path, "r+") as file:
        for name in ("density", "Vx", "pressure"):
            file[name][5, 0] = file[name][4, 0]
        file["pressure"][5, 0, 1] += 1
    with pytest.warns(RuntimeWarning, match="the 20 different starts of .* are 19 different inputs on task.points=32"):
        assert len(read(tmp_path, "navier_stokes_1d", "clean", points=32).train) == 16
    with h5py.File(path, "r+") as file:
        file["pressure"][5, 0, 1] = file["pressure"][4, 0, 1]
    clean = read(tmp_path, "navier_stokes_1d", "clean", points=32)
    assert [len(split) for split in (clean.train, clean.val, clean.test)] == [17, 1, 1]


def test_memory_does_not_grow_with_samples_or_frames(tmp_path, monkeypatch):
    """Only wanted frames are read, and of those 256 samples at a time; all that grows is a table of 16-byte digests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published_reader, "SLICE_BYTES", 64 << 10)
    whole, peaks, places = published_reader.values, [], []

    def noted(item, where, path):
        places.append(where)
        return whole(item, where, path)

    monkeypatch.setattr(published_reader, "values", noted)
    for count in (256, 1024):
        path = written.write(tmp_path / str(count), "advection", samples=count, grid=(64,))
        tracemalloc.start()
        arrays = published_reader.frames(path, "advection", "well_posed", 64, 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(arrays["first"]) == len(arrays["later"]) == count
    size = path.stat().st_size
    assert size > 50e6
    assert peaks[1] < 1.7 * peaks[0]
    assert peaks[1] < size / 100
    slices = [where for where in places if isinstance(where, tuple)]
    assert {frame for _, frame in slices} == {0, 200}
    assert {rows.stop - rows.start for rows, _ in slices} == {256}
    assert len(slices) == 2 * (1 + 4)


def test_examples_stay_on_disk(root):
    for task in ("advection", "navier_stokes_2d"):
        for track in ("clean", "paper"):
            splits = read(root, task, track, points=32)
            assert not any(in_memory(part) for split in (splits.train, splits.test) for part in (split.inputs, split.targets))


def test_the_digest_of_a_run_covers_track_points_and_file(root, tmp_path):
    written.write(tmp_path, "advection", seed=1)
    owner = REGISTRY.component("task", "advection")

    def digest(folder, track="clean", **params):
        task = REGISTRY.build("task", "advection", params)
        task.official_files = written.undigested(owner)
        return official_data(task, folder, track).sha256

    known = [digest(root), digest(root, "paper"), digest(root, points=64), digest(tmp_path)]
    assert len(set(known)) == 4
    assert digest(root) == known[0]


@pytest.mark.parametrize("task", written.LAYOUTS)
def test_every_file_is_declared_with_its_published_digest(root, task):
    (file,) = REGISTRY.component("task", task).official_files
    assert file.path == written.LAYOUTS[task][0]
    assert file.urls[0].startswith("https://darus.uni-stuttgart.de/api/access/datafile/")
    assert len(file.md5) == 32
    # The small file is refused for what it is.
    with pytest.raises(IntegrityError, match=f"has md5 .*, published is {file.md5}"):
        REGISTRY.build("task", task, {}).official(OfficialFiles(root, task, (file,)), "clean")


@pytest.mark.parametrize(("task", "issue"), [("advection", 46), ("burgers", 51)])
def test_a_file_that_pdebench_replaced_is_recognised(root, task, issue):
    """By its digest: here that of the small file, put in the place of the replaced one's."""
    (file,) = REGISTRY.component("task", task).official_files
    ((md5, why),) = file.replaced
    assert md5 == {46: "99d57a5a8d660ba2cb824f41e09c6543", 51: "69c1890c49fc7ba36aac7107c41d5f41"}[issue]
    assert f"PDEBench issue {issue}" in why
    place = written.place(root, task)
    again = replace(file, replaced=((hashlib.md5(place.read_bytes()).hexdigest(), why),))  # noqa: S324
    with pytest.raises(IntegrityError) as caught:
        REGISTRY.build("task", task, {}).official(OfficialFiles(root, task, (again,)), "clean")
    assert str(caught.value) == f"'{place}' is the file that was replaced, {why}"
    assert caught.value.hint == f"rm '{place}' && pare-bench data fetch {task}"
    (check,) = verify_files(root, {task: (again,)})
    assert (check.good, check.result) == (False, f"is the file that was replaced, {why}")
    # Any other file has another digest than the published one.
    (check,) = verify_files(root, {task: (file,)})
    assert check.result.startswith("has md5 ")


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(DataMissingError, match=r"1D_Burgers_Sols_Nu1\.0\.hdf5") as caught:
        read(tmp_path, "burgers", "clean")
    assert caught.value.hint == "pare-bench data fetch burgers"


def test_a_converter_that_does_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'something'"):
        conversion.something  # noqa: B018
