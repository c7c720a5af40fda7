"""The first touch is light: what must not be imported before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4", "-o", "budget.epochs=1")


def imported(code, **environment):
    """Return the modules that a fresh process has imported after ``code``."""
    ask = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=120, env=variables)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import pare_bench", {"pydantic", "torch", "numpy", "rich", "pluggy", "typer"}),
        ("from pare_bench.cli import main; main(['--help'])", {"pydantic", "torch", "numpy", "rich.markdown"}),
        # Typer reads the types of a verb's options with pydantic.
        ("from pare_bench.cli import main; main(['run', '--help'])", {"torch", "numpy", "rich.markdown"}),
        ("from pare_bench.cli import main; main(['list'])", {"pydantic", "torch", "numpy", "rich.markdown"}),
        ("from pare_bench.cli import main; main(['list', 'methods'])", {"pydantic", "torch", "numpy", "rich.markdown"}),
        ("from pare_bench.cli import main; main(['list', '--format', 'md'])", {"torch", "numpy", "rich.markdown"}),
        ("from pare_bench.cli import main; main(['status', '--suite', 'nas360', '--out', 'nowhere'])", {"torch", "numpy", "scipy"}),
        ("from pare_bench.cli import main; main(['backbones', 'list'])", {"torch", "transformers", "scipy"}),
        ("import pare_bench; pare_bench.names('task')", {"pydantic", "torch", "numpy"}),
        ("import pare_bench; pare_bench.register, pare_bench.load_records, pare_bench.Results", {"torch", "pandas"}),
        ("import pare_bench; pare_bench.run, pare_bench.compare", {"torch", "pandas", "rich", "typer"}),
        ("import pare_bench; pare_bench.TaskSpec, pare_bench.hookimpl, pare_bench.Params", {"torch", "numpy"}),
    ],
)
def test_what_is_not_needed_is_not_imported(code, absent):
    assert not imported(code) & absent


def test_all_names_of_the_package_are_there_and_others_are_not():
    import pare_bench

    assert all(getattr(pare_bench, name) is not None for name in pare_bench.__all__)
    assert set(pare_bench.__all__) <= set(dir(pare_bench))
    with pytest.raises(AttributeError, match="no attribute 'TaskSpecs'"):
        pare_bench.TaskSpecs  # noqa: B018 - asking for it is the point


@pytest.mark.parametrize("verb", [("list",), ("list", "methods"), ("plugins",), ("list", "suite")])
def test_a_call_without_options_says_what_typer_would_have(verb, pare_bench):
    assert pare_bench(*verb) == pare_bench(*verb, "--format", "md")
    assert pare_bench("list", "nonsense")[0] == pare_bench("list", "nonsense", "--format", "md")[0] == 2


@pytest.mark.parametrize("method", ["constant", "full_finetune"])
def test_a_run_that_is_served_needs_neither_torch_nor_its_data(method, tmp_path):
    argv = ["run", "--method", method, "--task", "satellite", "--out", str(tmp_path / "out"), *TINY]
    call = f"from pare_bench.cli import main; assert main({argv!r}) == 0"
    cache = {"PARE_BENCH_CACHE": str(tmp_path / "cache")}
    assert "torch" in imported(call, **cache)
    # What is read of the data is their digest.
    for path in (tmp_path / "cache" / "generated").rglob("*.npy"):
        path.write_bytes(b"")
    found = imported(call, **cache)
    assert not {"torch", "timm", "transformers", "accelerate", "scipy.signal"} & found
    # Another seed of the same request is resolved from memory, too; training it needs torch, and the data, which are made again.
    assert "torch" in imported(call.replace("'--task'", "'--seeds', '1', '--task'"), **cache)
    assert not {"torch"} & imported(call.replace("'--task'", "'--seeds', '0-1', '--task'"), **cache)


def test_a_remembered_request_is_resolved_anew_when_the_code_of_a_component_changes(tmp_path, monkeypatch):
    from pare_bench.config.resolution import Request, resolve
    from pare_bench.registry.names import Registry
    from pare_bench.runs import plans

    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path))
    resolved = []
    known = plans.resolve_one
    monkeypatch.setattr(plans, "resolve_one", lambda *given: resolved.append(given[2]) or known(*given))

    def configs(seeds=(0,), **fields):
        remembered = plans.Plans()
        found = resolve(Registry.from_environment(), Request("pare", "nas360", ("ecg", "satellite"), seeds=seeds, **fields), remembered.one)
        remembered.save()
        return found

    first = configs()
    assert resolved == ["ecg", "satellite"]
    assert configs() == first
    assert [config.seed for config in configs(seeds=(3, 4))] == [3, 3, 4, 4]
    assert resolved == ["ecg", "satellite"]
    assert configs(overrides=("budget.epochs=2",))[0].budget.epochs == 2
    assert len(resolved) == 4
    monkeypatch.setattr(plans, "_state", lambda registry, config: "changed")
    configs()
    assert len(resolved) == 6
