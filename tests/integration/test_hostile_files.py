"""Hostile files where the published ones are expected: one line, exit code 4, nothing executed, nothing trained."""

from __future__ import annotations

import gzip
import importlib
import os
import pickle
import zipfile

import numpy as np
import pytest

PAGE = b"<!DOCTYPE html><html><body>Quota exceeded</body></html>"
#: 10 GB announced by ten bytes.
BOMB = b"\x80\x04\x8e" + (10 * 2**30).to_bytes(8, "little") + b"few."


class Touch:
    """A pickle of this runs a program when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def npy_of(value, path):
    array = np.empty((), object)
    array[()] = value
    np.save(path, array, allow_pickle=True)
    return path.read_bytes()


def zip_of(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("x_train.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (10 * 2**30,)})
        member.write(bytes(2**20))
    return path.read_bytes()


CASES = {
    "ecg pickle": ("ecg", "challenge2017.pkl", lambda canary, place: pickle.dumps({"data": Touch(canary)}), "posix.system"),
    "ecg bomb": ("ecg", "challenge2017.pkl", lambda canary, place: BOMB, "challenge2017.pkl"),
    "ecg page": ("ecg", "challenge2017.pkl", lambda canary, place: PAGE, "web page"),
    "ecg cut": ("ecg", "challenge2017.pkl", lambda canary, place: pickle.dumps({"data": np.arange(1000)})[:500], "challenge2017.pkl"),
    "satellite pickle in npy": ("satellite", "satellite_train.npy", lambda canary, place: npy_of(Touch(canary), place), "posix.system"),
    "satellite page": ("satellite", "satellite_train.npy", lambda canary, place: PAGE, "web page"),
    "spherical pickle in gzip": ("spherical", "s2_cifar100.gz", lambda canary, place: gzip.compress(pickle.dumps(Touch(canary))), "posix.system"),
    "spherical bomb": ("spherical", "s2_cifar100.gz", lambda canary, place: gzip.compress(BOMB), "s2_cifar100.gz"),
    "spherical page": ("spherical", "s2_cifar100.gz", lambda canary, place: PAGE, "web page"),
    "deepsea page": ("deepsea", "deepsea_filtered.npz", lambda canary, place: PAGE, "web page"),
    "deepsea bomb": ("deepsea", "deepsea_filtered.npz", lambda canary, place: zip_of(place), "deepsea_filtered.npz"),
    "darcy page": ("darcy_flow", "piececonst_r421_N1024_smooth1.mat", lambda canary, place: PAGE, "web page"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(pare_bench, tmp_path, monkeypatch, name):
    task, file, content, words = CASES[name]
    root, canary = tmp_path / "root", tmp_path / "canary"
    monkeypatch.setenv("PARE_BENCH_DATA", str(root))
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    (root / task).mkdir(parents=True)
    (root / task / file).write_bytes(content(canary, tmp_path / f"made{file[-4:]}"))
    out = tmp_path / "out"
    code, _, err = pare_bench(
        "run", "--method", "constant", "--task", task, "--preset", "smoke", "--tier", "official", "--fail-fast", "--out", str(out)
    )
    lines = [line for line in err.splitlines() if line.startswith(("error:", "hint:"))]
    assert code == 4, err
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], err
    assert str(root / task / file) in lines[0]
    assert words in lines[0]
    assert "Traceback" not in err
    assert not canary.exists()
    assert not list(out.glob("records/*/*/*/*.json"))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize(("task", "pattern"), [("psicov", "*.pkl"), ("psicov", "*-cb.npy"), ("cifar100", "train"), ("cifar100", "test")])
def test_one_hostile_file_among_good_ones(pare_bench, tmp_path, monkeypatch, task, pattern):
    root, canary = tmp_path / "root", tmp_path / "canary"
    monkeypatch.setenv("PARE_BENCH_DATA", str(root))
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    importlib.import_module(f"official_files.{task}").write(root)
    victim = max(path for path in (root / task).rglob(pattern) if path.is_file())
    victim.write_bytes(npy_of(Touch(canary), tmp_path / "made.npy") if pattern.endswith("npy") else pickle.dumps(Touch(canary)))
    code, _, err = pare_bench(
        "run", "--method", "constant", "--task", task, "--preset", "smoke", "--tier", "official", "--fail-fast", "--out", str(tmp_path / "out")
    )
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 4, err
    assert victim.name in line
    assert "posix.system" in line
    assert not canary.exists()
