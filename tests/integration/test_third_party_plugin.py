"""Two plugins together, as a stranger would use them: a task and a selector by ``pare-bench plugins new``, installed elsewhere, listed, checked, run.

Every kind by itself is in ``test_plugin_kit.py``.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pare_bench.cli import plugin_kit

KINDS = {"tones": "task", "largest_norm": "selector"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder into which pip has installed both, without network."""
    target, sources = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("sources")
    for name, kind in KINDS.items():
        plugin_kit.write(plugin_kit.kit(kind, name), sources / name)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    folders = [str(sources / name) for name in KINDS]
    subprocess.run([*pip, "--target", str(target), *folders], check=True, capture_output=True, text=True, timeout=400)
    return target


def run_python(site, code, *, expect=0, **environment):
    env = {name: value for name, value in os.environ.items() if name != "PARE_BENCH_PLUGINS"}
    env |= {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == expect, done.stderr
    return done


def pare_bench(site, *argv, **options):
    return run_python(site, f"import sys; from pare_bench.cli import main; sys.exit(main({list(argv)!r}))", **options)


def test_a_task_and_a_selector_are_few_lines():
    """Fewer than 60 lines that are neither empty nor documentation, in all files of both together: what a plugin costs."""
    texts = [text for name, kind in KINDS.items() for path, text in plugin_kit.kit(kind, name).texts.items() if path.startswith("pare_bench_")]
    assert sum(code_lines(text) for text in texts) < 60


def code_lines(text):
    """Return how many lines are neither empty nor comments nor of a docstring."""
    strings = [
        node.body[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
    ]
    told = {line for string in strings for line in range(string.lineno, string.end_lineno + 1)}
    return sum(number not in told and bool(line.strip()) and not line.strip().startswith("#") for number, line in enumerate(text.splitlines(), 1))


def test_the_wheels_hold_their_packages_alone(site):
    assert sorted(path.name for path in site.iterdir()) == [
        "pare_bench_largest_norm",
        "pare_bench_largest_norm-0.1.0.dist-info",
        "pare_bench_tones",
        "pare_bench_tones-0.1.0.dist-info",
    ]


@pytest.mark.parametrize(("kind", "name"), [("task", "tones"), ("selector", "largest_norm"), ("suite", "tones")])
def test_it_is_listed_with_its_plugin(site, kind, name):
    listed = json.loads(pare_bench(site, "list", kind, "--format", "json").stdout)
    (found,) = [entry for entry in listed if entry["name"] == name]
    assert (found["kind"], found["plugin"]) == (kind, name)


def test_its_provenance_is_shown(site):
    (found,) = [info for info in json.loads(pare_bench(site, "plugins", "--format", "json").stdout) if info["name"] == "largest_norm"]
    assert (found["distribution"], found["version"], found["error"], found["api"]) == ("pare-bench-largest-norm", "0.1.0", None, 1)


def test_listing_it_does_not_import_torch(site):
    listed = "import sys; from pare_bench.cli import main; main(['list'])"
    code = f"{listed}; assert not {{'torch', 'pare_bench_largest_norm.largest_norm'}} & set(sys.modules)"
    assert "largest_norm" in run_python(site, code).stdout


def test_its_own_epochs_and_recipe_count_in_preset_cpu(site):
    """Nothing outside its distribution knows the task, and every method is given the same."""
    for method in ("pare", "full_finetune"):
        (run,) = json.loads(pare_bench(site, "run", "-m", method, "-s", "tones", "--preset", "cpu", "--dry-run", "--format", "json").stdout)
        assert (run["budget"]["epochs"], run["recipe"]["batch_size"], run["recipe"]["learning_rate"]) == (20, 8, 1e-3)
    argv = ["show", "preset", "cpu", "--task", "tones", "--format", "json"]
    shown = {each["path"]: each for each in json.loads(pare_bench(site, *argv).stdout)}
    assert (shown["budget.epochs"]["value"], shown["budget.epochs"]["source"]) == (20, "task tones")


def test_it_can_be_left_out(site):
    assert "tones" not in pare_bench(site, "list", "task", PARE_BENCH_PLUGINS="none").stdout


def test_without_it_the_name_is_unknown(tmp_path):
    assert "unknown task 'tones'" in pare_bench(tmp_path, "show", "task", "tones", expect=2).stderr


@pytest.mark.slow
def test_it_conforms(site):
    code = """
from pare_bench.conformance import check
from pare_bench.registry.names import Registry
registry = Registry.from_environment()
print([check(registry, kind, name) for kind, name in (("suite", "tones"), ("task", "tones"), ("selector", "largest_norm"))])
"""
    assert run_python(site, code).stdout.strip() == "[[], [], []]"


@pytest.mark.slow
def test_it_runs(site, tmp_path):
    """The main job with a foreign task and a foreign selector: one good record, served the second time."""
    argv = ["run", "--method", "pare", "--suite", "tones", "--preset", "smoke", "-o", "selector=largest_norm", "--device", "cpu"]
    argv += ["--out", str(tmp_path / "out"), "--format", "json"]
    (result,) = json.loads(pare_bench(site, *argv, PARE_BENCH_CACHE=str(tmp_path / "cache")).stdout)
    assert (result["status"], result["served"]) == ("ok", False)
    record = json.loads(Path(result["path"]).read_text())
    assert record["task"]["name"] == "tones"
    assert record["task"]["sizes"] == {"train": 48, "val": 24, "test": 48}
    selector = record["slots"]["selector"]
    assert (selector["name"], selector["plugin"], selector["distribution"], selector["version"]) == (
        "largest_norm",
        "largest_norm",
        "pare-bench-largest-norm",
        "0.1.0",
    )
    (metric,) = record["metrics"]
    assert metric["name"] == "error_rate"
    assert 0 <= metric["value"] <= 1
    (again,) = json.loads(pare_bench(site, *argv, PARE_BENCH_CACHE=str(tmp_path / "cache")).stdout)
    assert again["served"]
    assert again["run_id"] == result["run_id"]
