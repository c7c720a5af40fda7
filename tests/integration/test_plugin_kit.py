"""What ``pare-bench plugins new`` writes, kind by kind: installed by pip, checked, run, and served from the store after a second component joined."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pare_bench.cli import plugin_kit
from pare_bench.errors import EnvironmentFault, UsageError
from pare_bench.registry.names import Registry

PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
SECOND = """

@hookimpl(specname="pare_bench_{second}s")
def a_second_component():
    yield {spec}(name="second_one", summary="another one", target="$package.second_one:Second")
"""


def run_python(folder, site, code, *, expect=0, **environment):
    env = {name: value for name, value in os.environ.items() if name != "PARE_BENCH_PLUGINS"}
    env |= {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=folder, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == expect, done.stderr
    return done


def pare_bench(*argv):
    return f"import sys; from pare_bench.cli import main; sys.exit(main({list(argv)!r}))"


@pytest.mark.slow
@pytest.mark.parametrize("kind", plugin_kit.KINDS)
def test_it_is_written_installed_checked_and_run(pare_bench_here, tmp_path, monkeypatch, kind):
    """The three commands that are printed, with pip's ``--target`` instead of an environment of its own."""
    monkeypatch.chdir(tmp_path)
    code, out, _ = pare_bench_here("plugins", "new", "my_own", "--kind", kind)
    assert code == 0
    install, check, run = out.splitlines()
    assert install == "pip install -e ./pare-bench-my-own"
    site = tmp_path / "site"
    subprocess.run([*PIP, "--target", str(site), "./pare-bench-my-own"], check=True, capture_output=True, text=True, timeout=400)
    assert sorted(path.name for path in site.iterdir()) == ["pare_bench_my_own", "pare_bench_my_own-0.1.0.dist-info"]

    options = ["--device", "cpu", "--out", str(tmp_path / "out"), "--format", "json"]
    checked = run_python(tmp_path, site, pare_bench(*check.split()[1:], "--format", "json"))
    assert [(each["kind"], each["name"], each["problems"]) for each in json.loads(checked.stdout)] == [(kind, "my_own", [])]
    done = run_python(tmp_path, site, pare_bench(*run.split()[1:], *options))
    results = json.loads(done.stdout)
    assert results
    assert all((result["status"], result["served"]) == ("ok", False) for result in results)
    if kind == "observer":
        assert re.search(r"^my_own: [0-9a-f]{16} train 1: loss [\d.]+", done.stderr, re.MULTILINE)
        assert re.search(r"^my_own: full_finetune on satellite, seed 0: error_rate [\d.]+", done.stderr, re.MULTILINE)

    # What a hook yields is no part of a run's identity: a second component leaves the first one's runs as they are.
    plugin = site / "pare_bench_my_own" / "plugin.py"
    second = "selector" if kind != "selector" else "mixer"
    spec = f"{second.capitalize()}Spec"
    joined = plugin.read_text().replace("hookimpl\n", f"hookimpl, {spec}\n", 1)
    plugin.write_text(joined + SECOND.format(second=second, spec=spec).replace("$package", "pare_bench_my_own"))
    (site / "pare_bench_my_own" / "second_one.py").write_text("class Second: ...\n")
    again = json.loads(run_python(tmp_path, site, pare_bench(*run.split()[1:], *options)).stdout)
    assert [(result["run_id"], result["served"]) for result in again] == [(result["run_id"], True) for result in results]
    assert "second_one" in run_python(tmp_path, site, pare_bench("list", second)).stdout


@pytest.fixture
def pare_bench_here(pare_bench):
    """The command line in this process."""
    return pare_bench


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["selector", "observer"])
def test_its_own_test_passes(pare_bench_here, tmp_path, monkeypatch, kind):
    """The file below ``tests/``, by the two fixtures of ``pare_bench.pytest_plugin``."""
    monkeypatch.chdir(tmp_path)
    assert pare_bench_here("plugins", "new", "my_own", "--kind", kind)[0] == 0
    site = tmp_path / "site"
    subprocess.run([*PIP, "--target", str(site), "./pare-bench-my-own"], check=True, capture_output=True, text=True, timeout=400)
    tests = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'pare-bench-my-own/tests']))"
    assert "2 passed" in run_python(tmp_path, site, tests).stdout


@pytest.mark.parametrize("kind", plugin_kit.KINDS)
def test_what_is_written_is_short_and_clean(tmp_path, kind):
    """A component stays below 60 lines, every text compiles, and the linter of this project finds nothing but missing annotations."""
    made = plugin_kit.kit(kind, "my_own")
    folder = tmp_path / "made"
    plugin_kit.write(made, folder)
    for path in folder.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")
        assert len(path.read_text().splitlines()) < 60, path
        assert "$" not in path.read_text()
    if subprocess.run([sys.executable, "-m", "ruff", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("ruff is not installed")
    settings = Path(__file__).parents[2] / "plugins" / "ruff.toml"
    ignored = "ARG002,RUF012,S101,D1,PLC0415,T201"
    for verb in (["check", "--extend-ignore", ignored], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *verb, "--no-cache", "--config", str(settings), str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", [kind for kind in plugin_kit.KINDS if kind not in ("suite", "observer")])
def test_a_name_that_is_a_word_of_its_own_module(kind):
    """A class called as what it derives from would be its own base; ``None`` is no name of a class."""
    for name in (kind, "params", "field", "none", "true", "split"):
        made = plugin_kit.kit(kind, name)
        (target,) = re.findall(r'target="([\w.:]+)"', made.texts[f"pare_bench_{name}/plugin.py"])
        source = made.texts[f"pare_bench_{name}/{name}.py"]
        assert target.startswith(f"pare_bench_{name}.{name}:")
        found = re.findall(rf"^class {target.partition(':')[2]}\(\w+\):", source, re.MULTILINE)
        assert len(found) == 1
        assert target.partition(":")[2] not in ("None", "True", kind.capitalize())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Mine", "name 'Mine' is not allowed"),
        ("my-own", "name 'my-own' is not allowed"),
        ("1st", "name '1st' is not allowed"),
        ("mine_", "name 'mine_' is not allowed"),
        ("", "name '' is not allowed"),
        ("a" * 61, "is not allowed"),
        ("../up", "name '../up' is not allowed"),
        ("ü", "name 'ü' is not allowed"),
        ("class", "name 'class' cannot be that of a module"),
        ("plugin", "name 'plugin' cannot be that of a module"),
        ("random", "selector 'random' is registered already, by plugin 'builtin'"),
        ("baselines", "a plugin 'baselines' is installed already"),
    ],
)
def test_a_name_that_cannot_be(pare_bench_here, tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = pare_bench_here("plugins", "new", "--kind", "selector", "--", name)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 2
    assert "hint: " in err
    assert list(tmp_path.iterdir()) == []


def test_a_task_needs_the_name_of_its_suite_too(pare_bench_here):
    code, _, err = pare_bench_here("plugins", "new", "nas360", "--kind", "task")
    assert code == 2
    assert "suite 'nas360' is registered already, by plugin 'builtin'" in err


def test_the_hint_has_a_name_that_can_be(pare_bench_here):
    assert pare_bench_here("plugins", "new", "My-Own 2", "--kind", "task")[2].rstrip().endswith(": my_own")


def test_an_installed_package_keeps_its_name(install):
    install("other", "from pare_bench import hookimpl\n", module="pare_bench_mine_too")
    with pytest.raises(UsageError, match="a package 'pare_bench_mine_too' is installed already"):
        plugin_kit.check_free("selector", "mine_too", Registry.from_environment())


def test_a_folder_that_exists_is_left_alone(pare_bench_here, tmp_path):
    for there in (tmp_path / "folder", tmp_path / "file", tmp_path / "link"):
        if there.name == "link":
            there.symlink_to(tmp_path / "nowhere")
        elif there.name == "file":
            there.write_text("mine")
        else:
            there.mkdir()
        code, _, err = pare_bench_here("plugins", "new", "mine", "--kind", "task", "--to", str(there))
        assert code == 2
        assert f"'{there}' exists already" in err
        assert f"--to {there}-2" in err
    assert (tmp_path / "file").read_text() == "mine"
    code, _, err = pare_bench_here("plugins", "new", "mine", "--kind", "task", "--to", str(tmp_path / "file" / "below"))
    assert code == 2
    assert "is no folder that 'below' could be made in" in err


def test_a_place_that_cannot_be_written(pare_bench_here, tmp_path, monkeypatch):
    """Tests may run as root, who may write everywhere: the disk refuses instead."""
    code, _, err = pare_bench_here("plugins", "new", "mine", "--kind", "task", "--to", "/proc/mine/here")
    assert code == 5
    assert "'/proc/mine/here' cannot be written" in err
    write = Path.write_text

    def full(path, text, **options):
        if path.name == "plugin.py":
            raise OSError(28, "No space left on device", str(path))
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EnvironmentFault, match="cannot be written: No space left on device"):
        plugin_kit.write(plugin_kit.kit("task", "mine"), tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_json(pare_bench_here, tmp_path):
    code, out, _ = pare_bench_here("plugins", "new", "mine", "-k", "aligner", "--to", str(tmp_path / "a b"), "--format", "json")
    assert code == 0
    told = json.loads(out)
    assert told["files"] == sorted(path.relative_to(tmp_path / "a b").as_posix() for path in (tmp_path / "a b").rglob("*") if path.is_file())
    assert told["next"][0] == f"pip install -e '{tmp_path}/a b'"
    assert (tmp_path / "a b").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_listing_is_as_light_as_before():
    """No Typer, and so no pydantic, for ``pare-bench plugins``; the templates are not touched."""
    code = "import sys; from pare_bench.cli.app import plain_call; call = plain_call(['plugins']); call(); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "'pare_bench.cli.listing'" in loaded
    for module in ("pydantic", "torch", "pare_bench.cli.plugin_kit"):
        assert f"'{module}'" not in loaded


def test_the_templates_are_in_the_wheel(tmp_path):
    """Built by the project's own settings; hatchling leaves nothing out that git knows."""
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    root = Path(__file__).parents[2]
    if not (root / "pyproject.toml").is_file() or shutil.which("git") is None:
        pytest.skip("no checkout")
    builder = hatchling.WheelBuilder(str(root))
    paths = {file.distribution_path for file in builder.recurse_included_files()}
    for kind in plugin_kit.KINDS:
        assert f"pare_bench/data/plugin_templates/{kind}/plugin.py.txt" in paths
    assert "pare_bench/data/plugin_templates/pyproject.toml.txt" in paths
    assert "pare_bench/pytest_plugin.py" in paths
