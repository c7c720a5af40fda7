"""The store is never stale: change one part of a run's identity and it is done again, and explain names it; change words and it is served."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest

from pare_bench.datasets import run_data
from pare_bench.digests.distributions import Distributions
from pare_bench.provenance.body import Body
from pare_bench.records.record import RunRecord
from pare_bench.runs import preparation, recording

TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4", "-o", "budget.epochs=1")
SOURCE = ("-o", "source_size.train=8", "-o", "source_size.val=1", "-o", "source_size.test=1")

PLUGIN = """
from pare_bench import MethodSpec, hookimpl

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="mutant", summary="The floor.", target="mutated.method:Mutant", slots=("backbone", "source"))
"""
METHOD = '''
"""The method."""

from pare_bench.contracts.method import Method
from pare_bench.contracts.params import Params

from .parts import predictor


class Mutant(Method):
    """The floor."""

    class Params(Params):
        weight: float = 1.0

    def fit(self, data, context):
        import transformers

        return predictor(data)
'''
PARTS = '''
from pare_bench.scoring.floor import ConstantPredictor

# What the method is made of.
def predictor(data):
    """Return the floor."""
    return ConstantPredictor(data.target, data.train)
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a plugin whose method is in three files; returns the folder of its sources."""
    site = tmp_path / "site"
    folder = site / "mutated"
    folder.mkdir(parents=True)
    for name, source in (("__init__", PLUGIN), ("method", METHOD), ("parts", PARTS)):
        (folder / f"{name}.py").write_text(source)
    information = site / "mutated-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mutated\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[pare_bench]\nmutated = mutated\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "mutated"]:
        del sys.modules[name]


def _without(options):
    """Return ``TINY`` without the settings that ``options`` give a value."""
    given = {word.partition("=")[0] for word in options}
    settings = [word for word in TINY if "=" in word and word.partition("=")[0] not in given]
    return [*TINY[:2], *(word for setting in settings for word in ("-o", setting))]


@pytest.fixture
def mutant(pare_bench, package, tmp_path):
    """Return ``mutant(*options)``: runs the method and returns (served, newest record)."""
    out = tmp_path / "out"

    def call(*options):
        code, shown, err = pare_bench(
            "run", "--method", "mutant", "--task", "satellite", "--out", str(out), "--format", "json", *_without(options), *SOURCE, *options
        )
        assert code == 0, err
        (result,) = json.loads(shown)
        served, path = result.pop("served"), result.pop("path")
        return served, RunRecord.model_validate(result), path

    call.out = out
    return call


def edit(path, old, new):
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))


def set_versions(monkeypatch, **versions):
    """Let libraries have other versions than are installed."""
    known = Distributions.owners
    monkeypatch.setattr(
        Distributions,
        "owners",
        lambda self, package: tuple(replace(each, version=versions.get(package, each.version)) for each in known(self, package)),
    )


def other_data(monkeypatch, name):
    load = getattr(run_data, name)

    def loaded(*arguments):
        found = load(*arguments)
        if name == "target_data":
            return replace(found, sha256="0" * 64)
        return replace(found, data=replace(found.data, sha256="0" * 64))

    monkeypatch.setattr(preparation, name, loaded)


def other_weights(monkeypatch):
    monkeypatch.setattr(preparation, "body_digests", lambda registry, config: Body("0" * 64))


#: What is changed, and the part and name that explain must give: (options, change(package folder, monkeypatch), part, name)
CHANGES = {
    "seed": (("--seeds", "1"), None, "config", "seed"),
    "split": (("-o", "data_seed=1"), None, "config", "data_seed"),
    "track": (("--track", "paper"), None, "config", "track"),
    "size": (("-o", "size.test=5"), None, "config", "size.test"),
    "recipe": (("-o", "recipe.learning_rate=0.5"), None, "config", "recipe.learning_rate"),
    "method parameter": (("-o", "method.weight=2.0"), None, "config", "method.weight"),
    "code of the method": (
        (),
        lambda folder, patch: edit(folder / "method.py", "return predictor(data)", "return predictor(data) or None"),
        "code",
        "mutated.method",
    ),
    "code behind a relative import": ((), lambda folder, patch: edit(folder / "parts.py", "data.train)", "data.val)"), "code", "mutated.parts"),
    "code of the package": (
        (),
        lambda folder, patch: edit(folder / "__init__.py", "from pare_bench", "LIMIT = 3\nfrom pare_bench"),
        "code",
        "mutated",
    ),
    "data": ((), lambda folder, patch: other_data(patch, "target_data"), "data", ""),
    "proxy data": ((), lambda folder, patch: other_data(patch, "source_data"), "source", ""),
    "weights": ((), lambda folder, patch: other_weights(patch), "weights", ""),
    "torch": (("--fresh", "libraries"), lambda folder, patch: set_versions(patch, torch="99.1.0"), "libraries", "torch"),
    "numpy": (("--fresh", "libraries"), lambda folder, patch: set_versions(patch, numpy="99.0.0"), "libraries", "numpy"),
    "transformers": (("--fresh", "libraries"), lambda folder, patch: set_versions(patch, transformers="99.1.0"), "libraries", "transformers"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_change_of_a_part_does_the_run_again_and_explain_names_it(what, mutant, package, pare_bench, monkeypatch):
    options, change, part, name = CHANGES[what]
    _, first, _ = mutant()
    assert mutant()[0] is True
    if change is not None:
        change(package, monkeypatch)
    served, again, _ = mutant(*options)
    assert served is False
    assert again.run_id != first.run_id
    assert first.run_id in again.cause
    assert " ".join(word for word in (part, name) if word) + ": " in again.cause
    code, shown, err = pare_bench("explain", again.run_id, "--out", str(mutant.out), "--format", "json")
    assert code == 0, err
    nearest = json.loads(shown)["nearest"]
    assert nearest["run_id"] == first.run_id
    found = {(each["part"], each["name"]) for each in nearest["differences"]}
    if part == "config" and what in ("seed", "recipe", "method parameter"):
        assert found == {(part, name)}
    elif part == "config":
        # Other data follow from another configuration.
        assert {each for each in found if each[0] == "config" and not each[1].startswith(("recipe", "budget"))} == {(part, name)}
    else:
        assert found == {(part, name)}
    assert mutant(*options)[0] is True


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("method", '"""The method."""', '"""Another word."""'),
        ("method", "    def fit(self, data, context):\n", "    def fit(self, data, context):  # fits\n\n"),
        ("parts", "# What the method is made of.", "# Made of this."),
        ("parts", '    """Return the floor."""\n', ""),
        ("parts", "ConstantPredictor(data.target, data.train)", "ConstantPredictor(\n        data.target,\n        data.train,\n    )"),
    ],
)
def test_words_and_layout_are_served(file, old, new, mutant, package):
    mutant()
    edit(package / f"{file}.py", old, new)
    assert mutant()[0] is True


@pytest.mark.parametrize(
    "versions",
    [
        {"torch": ".".join(version("torch").split(".")[:2]) + ".99"},
        {"rich": "99.0"},
        {"timm": "99.0"},
        {"numpy": "2.99.0"},
        {"pydantic": "9.0"},
    ],
)
def test_libraries_that_do_not_matter_are_served(versions, mutant, monkeypatch):
    mutant()
    set_versions(monkeypatch, **versions)
    assert mutant()[0] is True


@pytest.mark.parametrize("versions", [{"torch": "99.1.0"}, {"transformers": "99.1.0", "torch": "99.1.0"}])
def test_a_run_with_other_libraries_is_served_with_one_line_that_says_so(versions, mutant, pare_bench, monkeypatch):
    _, first, path = mutant()
    mutant("--seeds", "1")
    set_versions(monkeypatch, **versions)
    command = ("run", "--method", "mutant", "--task", "satellite", "--out", str(mutant.out), "--format", "json", "--seeds", "0-1", *TINY, *SOURCE)
    code, shown, err = pare_bench(*command)
    assert code == 0
    assert next((result["served"], result["path"]) for result in json.loads(shown)) == (True, path)
    (line,) = [line for line in err.splitlines() if "other versions" in line]
    assert all(f"libraries {name}: " in line and "-> 99.1" in line for name in versions)
    assert "--fresh libraries" in line
    # The same again in a newer place: explain and status say what run says.
    verdict = json.loads(pare_bench("explain", first.run_id, "--out", str(mutant.out), "--format", "json")[1])["verdict"]
    assert "would be served" in verdict
    assert "libraries torch" in verdict
    cells = json.loads(pare_bench("status", "-m", "mutant", "-t", "satellite", "--out", str(mutant.out), "--format", "json")[1])
    assert [(cell["state"], "libraries torch" in cell["detail"]) for cell in cells if cell["method"] != "mutant"] == [("ok", True)] * 2
    assert [result["served"] for result in json.loads(pare_bench(*command, "--fresh", "libraries")[1])] == [False, False]
    # Both stand in the store; what was made with the libraries that are here is served without a word.
    code, shown, err = pare_bench(*command)
    assert "other versions" not in err
    assert path not in [result["path"] for result in json.loads(shown)]


def test_other_libraries_do_not_excuse_other_code(mutant, package, monkeypatch):
    mutant()
    set_versions(monkeypatch, torch="99.1.0")
    edit(package / "parts.py", "data.train)", "data.val)")
    assert mutant()[0] is False


def test_the_environment_does_not_enter(mutant, monkeypatch):
    import torch

    _, first, _ = mutant()
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    monkeypatch.setattr(recording, "launched_processes", lambda: 1)
    monkeypatch.setattr(recording.platform, "python_version", lambda: "9.9.9")
    try:
        served, again, _ = mutant()
    finally:
        torch.set_num_threads(threads)
    assert (served, again.run_id) == (True, first.run_id)


def test_explain_and_status_say_what_is_stale(mutant, package, pare_bench):
    _, record, path = mutant()
    out = ("--out", str(mutant.out), "--format", "json")
    assert "would be served" in json.loads(pare_bench("explain", path, *out)[1])["verdict"]
    edit(package / "parts.py", "data.train)", "data.val)")
    explained = json.loads(pare_bench("explain", record.run_id[:6], *out)[1])
    assert [(each["part"], each["name"]) for each in explained["changed"]] == [("code", "mutated.parts")]
    assert "would be done again: code mutated.parts" in explained["verdict"]
    (cell,) = [cell for cell in json.loads(pare_bench("status", "--task", "satellite", *out)[1]) if cell["method"].startswith("mutant[")]
    assert (cell["state"], cell["run_id"]) == ("stale", record.run_id)
    code, _, err = pare_bench("run", "--method", "mutant", "--task", "satellite", "--out", str(mutant.out), *TINY, *SOURCE)
    assert code == 0
    assert f"runs again: nearest stored run {record.run_id} differs in code mutated.parts" in err


def test_only_failed_runs_what_failed(mutant, package, pare_bench, monkeypatch):
    mutant()
    mutant("--seeds", "1")
    failing = PARTS.replace("return Constant", "raise MemoryError('none left')\n    return Constant")
    (package / "parts.py").write_text(failing)
    for name in ("mutated.method", "mutated.parts"):
        monkeypatch.delitem(sys.modules, name)
    command = ("run", "--method", "mutant", "--task", "satellite", "--out", str(mutant.out), *TINY, *SOURCE)
    assert pare_bench(*command, "--seeds", "1")[0] == 1
    status = json.loads(pare_bench("status", "-m", "mutant", "-t", "satellite", "--seeds", "0-2", "--out", str(mutant.out), "--format", "json")[1])
    # Runs on fewer examples are no plain runs, of which there are none.
    assert [cell["state"] for cell in status if cell["method"] == "mutant"] == ["missing"] * 3
    status = [cell for cell in status if cell["method"] != "mutant"]
    assert [(cell["seed"], cell["state"]) for cell in status] == [(0, "stale"), (1, "failed"), (2, "missing")]
    assert "none left" in status[1]["detail"]
    (package / "parts.py").write_text(PARTS)
    for name in ("mutated.method", "mutated.parts"):
        monkeypatch.delitem(sys.modules, name)
    code, shown, err = pare_bench(*command, "--seeds", "0-2", "--only-failed", "--format", "json")
    assert code == 0, err
    assert "1 of 3 runs have failed" in err
    assert [result["seed"] for result in json.loads(shown)] == [1]
    code, _, err = pare_bench(*command, "--seeds", "0", "--only-failed")
    assert code == 0
    assert "nothing to do" in err


def test_a_simulator_that_changed_without_a_new_version_is_not_served_old_data(tmp_path, monkeypatch):
    from pare_bench.contracts.task import TaskSize
    from pare_bench.datasets.cache import generated_data

    source = (
        "import numpy as np\nfrom pare_bench.contracts.task import *\n"
        "from pare_bench.datasets.simulated import SimulatedTask\nclass Toy(SimulatedTask):\n"
        "    name, version, inputs, target, metrics, sizes = 'toy', 1, InputShape(1, (4,)), Classes(3), (), {}\n"
        "    def simulate(self, split, count, index, rng):\n        return Split(np.full((count, 1, 4), 1.0, 'f4'), np.zeros(count, np.int64))\n"
    )
    site = tmp_path / "simulated"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    digests = []
    for value in ("1.0", "1.0  # one", "2.0"):
        (site / "toy_simulator.py").write_text(source.replace("1.0", value) if "#" not in value else source + "# one\n")
        importlib.invalidate_caches()
        sys.modules.pop("toy_simulator", None)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        module = importlib.import_module("toy_simulator")
        digests.append(generated_data(module.Toy(), 0, TaskSize(4, 2, 2), tmp_path / "cache").sha256)
    sys.modules.pop("toy_simulator", None)
    assert digests[0] == digests[1] != digests[2]
    assert len([path for path in tmp_path.glob("cache/generated/toy/*") if path.is_dir()]) == 2
