"""Wheel and source distribution: the same bytes from any checkout, whole, without what is not to be handed on, and running from elsewhere."""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from pare_bench.registry.versions import __version__

ROOT = Path(__file__).parents[2]
WHEEL, SDIST = f"pare_bench-{__version__}-py3-none-any.whl", f"pare_bench-{__version__}.tar.gz"
#: What a checkout has besides files that git knows; no build looks at it.
LEFT_OUT = ("__pycache__", ".git", ".venv*", ".*_cache", ".tox", ".hypothesis", ".benchmarks", "dist", "my-runs")
#: Of our own leaderboard a build takes the published numbers and the schema (the records are 20 MB).
LEADERBOARD = ("published.json", "schema")

pytestmark = pytest.mark.slow


def checkout(folder: Path) -> Path:
    """Return a copy of the sources in ``folder``."""
    by_name = shutil.ignore_patterns(*LEFT_OUT)

    def ignored(parent: str, names: list[str]) -> set[str]:
        return by_name(parent, names) | (set(names) - set(LEADERBOARD) if Path(parent) == ROOT / "leaderboard" else set())

    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


def build(source: Path, target: Path, *, epoch: str = "1700000000", umask: int = -1, **environment: str) -> Path:
    """Build both distributions of ``source`` into ``target`` with the declared backend, without network."""
    argv = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": epoch, **environment}
    subprocess.run(argv, cwd=source, env=env, umask=umask, check=True, capture_output=True, text=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("one") / "pare-bench")


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    return build(source, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    """Return a folder into which pip has installed the wheel; its dependencies are those of this interpreter."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([*pip, str(built / WHEEL)], check=True, capture_output=True, text=True, timeout=120)
    return target


def wheel_names(built: Path) -> list[str]:
    with zipfile.ZipFile(built / WHEEL) as archive:
        return archive.namelist()


def sdist_names(built: Path) -> list[str]:
    with tarfile.open(built / SDIST) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def test_two_checkouts_give_the_same_bytes(built, tmp_path):
    """Another place with a blank in it, other times and rights, another zone and order of hashes, what tests and runs leave behind."""
    other = checkout(tmp_path / "another place" / "clone")
    for path in other.rglob("*"):
        os.utime(path, (981_158_400, 981_158_400))
        path.chmod(0o700 if path.is_dir() else 0o600)
    for left in ("pare_bench/__pycache__/old.cpython-311.pyc", "my-runs/records/a.json", "leaderboard/predictions/a.npy", "dist/old.whl"):
        (other / left).parent.mkdir(parents=True, exist_ok=True)
        (other / left).write_bytes(b"left")
    again = build(other, tmp_path / "out", umask=0o077, TZ="Asia/Tokyo", PYTHONHASHSEED="7", LC_ALL="C")
    for name in (WHEEL, SDIST):
        assert (again / name).read_bytes() == (built / name).read_bytes(), f"{name} differs"


def test_the_time_in_both_is_the_one_that_is_given(built, source, tmp_path):
    """Else the test above could not fail for a build that wrote the clock into its files within one second."""
    later = build(source, tmp_path, epoch="1600000000")
    with zipfile.ZipFile(built / WHEEL) as first, zipfile.ZipFile(later / WHEEL) as second:
        assert {each.date_time for each in first.infolist()} == {(2023, 11, 14, 22, 13, 20)}
        assert {each.date_time for each in second.infolist()} == {(2020, 9, 13, 12, 26, 40)}
    with tarfile.open(later / SDIST) as archive:
        assert {each.mtime for each in archive.getmembers()} == {1_600_000_000}


def test_the_source_distribution_gives_the_same_wheel(built, tmp_path):
    with tarfile.open(built / SDIST) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, tmp_path / "out")
    assert (again / WHEEL).read_bytes() == (built / WHEEL).read_bytes()


def test_the_wheel_has_the_packages_with_their_data_and_nothing_else(built):
    names = wheel_names(built)
    assert {name.partition("/")[0] for name in names} == {"pare_bench", "pare_bench_baselines", f"pare_bench-{__version__}.dist-info"}
    data = {f"pare_bench/{path.relative_to(ROOT / 'pare_bench').as_posix()}" for path in (ROOT / "pare_bench/data").rglob("*") if path.is_file()}
    data |= {f"pare_bench/data/pictures/{path.name}" for path in (ROOT / "docs/suites/pictures").iterdir()} | {"pare_bench/data/published.json"}
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pare_bench").rglob("*.py")}
    assert data | code <= set(names)
    assert f"pare_bench-{__version__}.dist-info/licenses/LICENSE" in names
    unwanted = [name for name in names if ("/records/" in name and name.endswith(".json")) or "/tests/" in name or "checkpoints/" in name]
    assert not unwanted


def test_the_source_distribution_has_tests_plugins_and_what_they_read_but_no_records(built):
    names = sdist_names(built)
    assert {"constraints.txt", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "PKG-INFO", ".pre-commit-config.yaml"} <= set(names)
    assert {"tests/conftest.py", "plugins/README.md", "plugins/pare-bench-ucr/pyproject.toml", "leaderboard/published.json"} <= set(names)
    assert not [name for name in names if name.startswith(("leaderboard/records", "leaderboard/site"))]


def test_they_are_small(built):
    """5.4 and 9.6 MB when this was written, most of it weights and pictures: whoever adds megabytes says so here."""
    assert (built / WHEEL).stat().st_size < 6_500_000
    assert (built / SDIST).stat().st_size < 11_500_000


def test_the_metadata_are_valid(built):
    """By the standard's own reader, which refuses unknown fields and licences, and as an index wants them: a text that it can show."""
    with zipfile.ZipFile(built / WHEEL) as archive:
        raw = archive.read(f"pare_bench-{__version__}.dist-info/METADATA")
    metadata = Metadata.from_email(raw, validate=True)
    assert (metadata.name, str(metadata.version), metadata.license_expression) == ("pare-bench", __version__, "MIT")
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description.strip() == (ROOT / "README.md").read_text("utf-8").strip()
    with tarfile.open(built / SDIST) as archive:
        packed = archive.extractfile(f"pare_bench-{__version__}/PKG-INFO").read()
    assert email.message_from_bytes(packed).as_bytes() == email.message_from_bytes(raw).as_bytes()


def pare_bench(site: Path, folder: Path, *argv: str, more: Path = ROOT / "no such folder") -> subprocess.CompletedProcess:
    """Call the installed command line from ``folder``; the checkout is not on the path (but for ``more``)."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PARE_BENCH_")}
    env |= {
        "PYTHONPATH": f"{site}{os.pathsep}{more}",
        "PYTHONSAFEPATH": "1",
        "PARE_BENCH_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    return subprocess.run([sys.executable, "-m", "pare_bench", *argv], cwd=folder, env=env, capture_output=True, text=True, timeout=400, check=False)


def test_it_is_the_installed_one_that_runs(site, tmp_path):
    code = "import pare_bench, pare_bench_baselines; print(pare_bench.__file__, pare_bench_baselines.__file__)"
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(site / "pare_bench/__init__.py"), str(site / "pare_bench_baselines/__init__.py")]


def test_installed_it_lists_what_the_checkout_lists(site, tmp_path):
    done = pare_bench(site, tmp_path, "list", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == pare_bench(ROOT, tmp_path, "list", "--format", "json", more=ROOT / "baselines").stdout
    listed = {(entry["kind"], entry["name"]) for entry in json.loads(done.stdout)}
    assert {("task", "ecg"), ("suite", "nas360"), ("method", "orca"), ("backbone", "nano_swin")} <= listed


@pytest.mark.parametrize(("method", "task"), [("full_finetune", "ecg"), ("pare", "darcy_flow"), ("full_finetune", "openml_48")])
def test_installed_it_runs(site, tmp_path, method, task):
    """Both bundled bodies with their weights, a table and the recorded hyperparameters are read from the installed files."""
    argv = ["run", "--method", method, "--task", task, "--suite", "openml" if task.startswith("openml") else "nas360", "--preset", "smoke"]
    done = pare_bench(site, tmp_path, *argv, "--device", "cpu", "--out", "runs", "--format", "json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["status"] == "ok"
    record = json.loads((tmp_path / result["path"]).read_text("utf-8"))
    assert record["slots"]["backbone"]["name"] in ("nano_swin", "nano_text")
    assert record["metrics"][0]["value"] >= 0


def test_installed_it_checks(site, tmp_path):
    done = pare_bench(site, tmp_path, "check", "nano_swin", "gate_gumbel", "ecg", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert {entry["state"] for entry in json.loads(done.stdout)} == {"conforms"}
