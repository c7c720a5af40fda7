"""Hostile and damaged HDF5 files where PDEBench's are expected, through the command line: one line, exit code 4, nothing followed or executed."""

from __future__ import annotations

import h5py
import numpy as np
import pdebench_files as written
import pytest

from pare_bench.registry.names import Registry

#: One task of each layout: a dataset it cannot do without, and what it is called in messages.
TASKS = {
    "burgers": "tensor",
    "navier_stokes_1d": "pressure",
    "darcy_2d": "nu",
    "diffusion_sorption": "0003/data",
    "diffusion_reaction_2d": "0003/data",
}
HDF5 = b"\x89HDF\r\n\x1a\n"


def removed(file, name, tmp_path):
    del file[name]


def of_other_rank(file, name, tmp_path):
    values = file[name][:]
    del file[name]
    file[name] = values[..., None]


def not_a_number(file, name, tmp_path):
    # The last sample of a stacked file, the last cell of the last frame.
    file[name][(-1,) * file[name].ndim] = np.nan


def infinite_start(file, name, tmp_path):
    file[name][(0,) * file[name].ndim] = np.inf


def outside(file, name, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["values"] = file[name][:]
    del file[name]
    file[name] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "values")


def soft(file, name, tmp_path):
    file.move(name, "elsewhere" if "/" not in name else f"{name.partition('/')[0]}/elsewhere")
    file[name] = h5py.SoftLink("/elsewhere" if "/" not in name else f"/{name.partition('/')[0]}/elsewhere")


def dangling(file, name, tmp_path):
    del file[name]
    file[name] = h5py.SoftLink("/nowhere")


def objects(file, name, tmp_path):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, h5py.string_dtype())


def integers(file, name, tmp_path):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, data=np.ones(shape, np.int8))


def virtual(file, name, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["values"] = file[name][:]
        layout = h5py.VirtualLayout(file[name].shape, np.float32)
        layout[...] = h5py.VirtualSource(other["values"])
    del file[name]
    file.create_virtual_dataset(name, layout)


def raw_file(file, name, tmp_path):
    values = file[name][:]
    (tmp_path / "secret.raw").write_bytes(values.tobytes())
    del file[name]
    file.create_dataset(name, values.shape, np.float32, external=[(str(tmp_path / "secret.raw"), 0, values.nbytes)])


def strange_filter(file, name, tmp_path):
    # bzip2 as registered with the HDF Group; optional, so that the values are stored as they are.
    shape = file[name].shape
    del file[name]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(shape)
    plan.set_filter(307, h5py.h5z.FLAG_OPTIONAL, (9,))
    parent, _, last = name.rpartition("/")
    h5py.h5d.create((file[parent] if parent else file).id, last.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), plan)


def never_written(file, name, tmp_path):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, np.float32, chunks=shape)


def bomb(file, name, tmp_path):
    """Terabytes announced, nothing stored."""
    shape = (10**6, *file[name].shape[1:])
    del file[name]
    file.create_dataset(name, shape, np.float32)


def a_group(file, name, tmp_path):
    del file[name]
    file.create_group(name)


CHANGES = {
    removed: "has no dataset '{name}'",
    of_other_rank: "dataset '{name}' has shape",
    not_a_number: "dataset '{name}' has values that are not finite",
    infinite_start: "dataset '{name}' has values that are not finite",
    outside: "'{name}' is a link to another place",
    soft: "'{name}' is a link to another place",
    dangling: "'{name}' is a link to another place",
    objects: "dataset '{name}' is object, expected real numbers",
    integers: "dataset '{name}' is int8, expected real numbers",
    virtual: "dataset '{name}' has its values in other files",
    raw_file: "dataset '{name}' has its values in other files",
    strange_filter: "dataset '{name}' is compressed with HDF5 filter 307",
    never_written: "dataset '{name}' has 0 of its 1 chunks",
    bomb: "dataset '{name}' ",
    a_group: "'{name}' is no dataset",
}


@pytest.fixture(autouse=True)
def undigested(monkeypatch):
    """The published digests are those of the published files: without them the readers must hold on their own."""
    for task in TASKS:
        owner = Registry.from_environment().component("task", task)
        monkeypatch.setattr(owner, "official_files", written.undigested(owner))


def refused(pare_bench, monkeypatch, tmp_path, task, *options, converted=False):
    """Run and return the line of the error and that of the hint; ``converted``: the file was sound as HDF5."""
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    words = (
        "run",
        "--method",
        "constant",
        "--suite",
        "pdebench",
        "--task",
        task,
        "--preset",
        "smoke",
        "--tier",
        "official",
        "--fail-fast",
        "--out",
        str(out),
    )
    code, _, err = pare_bench(*words, *options)
    lines = [line for line in err.splitlines() if line.startswith(("error:", "hint:"))]
    assert code == 4, err
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], err
    assert "Traceback" not in err
    assert str(written.place(tmp_path / "root", task)) in lines[0]
    assert not list(out.glob("records/*/*/*/*.json"))
    assert bool(list((tmp_path / "cache").rglob("*.safetensors"))) == converted
    return lines


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_one_bad_dataset(pare_bench, monkeypatch, tmp_path, task, change):
    name = TASKS[task]
    with h5py.File(written.write(tmp_path / "root", task, samples=10), "r+") as file:
        change(file, name, tmp_path)
    error, hint = refused(pare_bench, monkeypatch, tmp_path, task)
    assert CHANGES[change].format(name=name) in error
    assert f"pare-bench data fetch {task}" in hint


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("content", ["cut", "signature", "text"])
def test_not_the_whole_file(pare_bench, monkeypatch, tmp_path, task, content):
    path = written.write(tmp_path / "root", task, samples=10)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) * 9 // 10], "signature": HDF5 + bytes(600), "text": b"hello " * 200}[content])
    error, _ = refused(pare_bench, monkeypatch, tmp_path, task)
    assert {"text": "is no HDF5 file"}.get(content, "cannot be read as HDF5, it may be truncated") in error


def test_times(pare_bench, monkeypatch, tmp_path):
    path = written.write(tmp_path / "root", "burgers", samples=10)
    with h5py.File(path, "r+") as file:
        del file["t-coordinate"]
        file["t-coordinate"] = np.linspace(0, 2, 150)
    error, _ = refused(pare_bench, monkeypatch, tmp_path, "burgers")
    assert "has 150 times, expected 201 (one for each frame) or one more" in error
    with h5py.File(path, "r+") as file:
        del file["t-coordinate"]
        file["t-coordinate"] = np.linspace(2, 0, 201)
    error, _ = refused(pare_bench, monkeypatch, tmp_path, "burgers")
    assert "times that do not increase" in error


def test_samples_of_different_shape_or_time(pare_bench, monkeypatch, tmp_path):
    path = written.write(tmp_path / "root", "diffusion_sorption", samples=10)
    with h5py.File(path, "r+") as file:
        file["0007/grid/t"][50] += 0.5
    assert "'0007/grid/t' has other times than '0000/grid/t'" in refused(pare_bench, monkeypatch, tmp_path, "diffusion_sorption")[0]
    with h5py.File(path, "r+") as file:
        values = file["0006/data"][:50]
        del file["0006/data"]
        file["0006/data"] = values
    assert (
        "dataset '0006/data' has shape (50, 64, 1), expected (101, 64, 1) as in '0000'"
        in refused(pare_bench, monkeypatch, tmp_path, "diffusion_sorption")[0]
    )


def test_fields_that_do_not_go_together(pare_bench, monkeypatch, tmp_path):
    with h5py.File(written.write(tmp_path / "root", "navier_stokes_1d", samples=10), "r+") as file:
        values = file["pressure"][:9]
        del file["pressure"]
        file["pressure"] = values
    error, _ = refused(pare_bench, monkeypatch, tmp_path, "navier_stokes_1d")
    assert "dataset 'pressure' has shape (9, 101, 64), expected (10, 101, 64) as 'density'" in error


def test_a_grid_that_does_not_divide(pare_bench, monkeypatch, tmp_path):
    written.write(tmp_path / "root", "burgers", samples=10)
    error, hint = refused(pare_bench, monkeypatch, tmp_path, "burgers", "-o", "task.points=48")
    assert "has 64 cells, which are no multiple of task.points=48" in error
    assert hint == "hint: -o task.points=32"


def test_too_few_samples(pare_bench, monkeypatch, tmp_path):
    written.write(tmp_path / "root", "burgers", samples=9)
    error, _ = refused(pare_bench, monkeypatch, tmp_path, "burgers", converted=True)
    assert "has 9 samples with 9 different starts, needed are 10" in error


def test_names_from_the_file_stay_on_one_line(pare_bench, monkeypatch, tmp_path):
    strange = "a\nerror: b\x1b[31m" + "c" * 300
    with h5py.File(written.write(tmp_path / "root", "burgers", samples=10), "r+") as file:
        file.move("tensor", strange)
    error, _ = refused(pare_bench, monkeypatch, tmp_path, "burgers")
    assert "has no dataset 'tensor'; it has a?error: b?[31mccc" in error
    with h5py.File(written.write(tmp_path / "root", "diffusion_sorption", samples=10), "r+") as file:
        file.move("0004", strange)
        file[strange]["grid/t"][3] += 1
    error, _ = refused(pare_bench, monkeypatch, tmp_path, "diffusion_sorption")
    assert "'a?error: b?[31mccc" in error
    assert len(error) < 700
