"""The template of plugins/ as a stranger would use it: built by pip, installed elsewhere, listed, checked and run by the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[2] / "plugins" / "template"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder into which pip has installed the template, from a copy, without network."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(target), str(TEMPLATE)], check=True, capture_output=True, text=True, timeout=120)
    return target


def run_python(site, code, *, expect=0, **environment):
    env = {name: value for name, value in os.environ.items() if name != "PARE_BENCH_PLUGINS"}
    env |= {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == expect, done.stderr
    return done


def pare_bench(site, *argv, **options):
    return run_python(site, f"import sys; from pare_bench.cli import main; sys.exit(main({list(argv)!r}))", **options)


def test_the_template_is_short():
    """Fewer than 60 lines in all files together, the README excluded: what a plugin costs."""
    files = [path for path in TEMPLATE.rglob("*") if path.is_file() and path.suffix in (".py", ".toml")]
    assert {path.name for path in files} == {"pyproject.toml", "__init__.py", "plugin.py", "tones.py", "largest_norm.py"}
    assert sum(len(path.read_text().splitlines()) for path in files) < 60


def test_the_wheel_holds_only_the_template(site):
    assert sorted(path.name for path in site.iterdir()) == ["pare_bench_template", "pare_bench_template-0.1.0.dist-info"]


@pytest.mark.parametrize(("kind", "name"), [("task", "tones"), ("selector", "largest_norm"), ("suite", "template")])
def test_it_is_listed_with_its_plugin(site, kind, name):
    listed = json.loads(pare_bench(site, "list", kind, "--format", "json").stdout)
    (found,) = [entry for entry in listed if entry["name"] == name]
    assert (found["kind"], found["plugin"]) == (kind, "template")


def test_its_provenance_is_shown(site):
    (found,) = [info for info in json.loads(pare_bench(site, "plugins", "--format", "json").stdout) if info["name"] == "template"]
    assert (found["distribution"], found["version"], found["error"]) == ("pare-bench-template", "0.1.0", None)


def test_listing_it_does_not_import_torch(site):
    code = "import sys; from pare_bench.cli import main; main(['list']); assert not {'torch', 'pare_bench_template.largest_norm'} & set(sys.modules)"
    assert "largest_norm" in run_python(site, code).stdout


def test_its_own_epochs_and_recipe_count_in_preset_cpu(site):
    """Nothing outside its distribution knows the task, and every method is given the same."""
    for method in ("pare", "full_finetune"):
        (run,) = json.loads(pare_bench(site, "run", "-m", method, "-s", "template", "--preset", "cpu", "--dry-run", "--format", "json").stdout)
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
print([check(registry, kind, name) for kind, name in (("suite", "template"), ("task", "tones"), ("selector", "largest_norm"))])
"""
    assert run_python(site, code).stdout.strip() == "[[], [], []]"


@pytest.mark.slow
def test_it_runs(site, tmp_path):
    """The main job with a foreign task and a foreign selector: one good record, served the second time."""
    argv = ["run", "--method", "pare", "--suite", "template", "--preset", "smoke", "-o", "selector=largest_norm", "--device", "cpu"]
    argv += ["--out", str(tmp_path / "out"), "--format", "json"]
    (result,) = json.loads(pare_bench(site, *argv, PARE_BENCH_CACHE=str(tmp_path / "cache")).stdout)
    assert (result["status"], result["served"]) == ("ok", False)
    record = json.loads(Path(result["path"]).read_text())
    assert record["task"]["name"] == "tones"
    assert record["task"]["sizes"] == {"train": 48, "val": 24, "test": 48}
    selector = record["slots"]["selector"]
    assert (selector["name"], selector["plugin"], selector["distribution"], selector["version"]) == (
        "largest_norm",
        "template",
        "pare-bench-template",
        "0.1.0",
    )
    (metric,) = record["metrics"]
    assert metric["name"] == "error_rate"
    assert 0 <= metric["value"] <= 1
    (again,) = json.loads(pare_bench(site, *argv, PARE_BENCH_CACHE=str(tmp_path / "cache")).stdout)
    assert again["served"]
    assert again["run_id"] == result["run_id"]
