"""Fixtures for the tests of a plugin, which are two lines each then.

A test file that asks for them has them::

    pytest_plugins = ["pare_bench.pytest_plugin"]

    def test_conforms(conformance):
        conformance("selector", "mine")

    def test_runs(smoke_run):
        assert smoke_run("--method", "pare", "--task", "satellite", "-o", "selector=mine").status == "ok"

No entry point of pytest's loads them by itself: every test suite on a machine with pare-bench would get them, and an import more, asked for or not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pare_bench.records.record import RunRecord
    from pare_bench.registry.names import Registry


@pytest.fixture(scope="session")
def pare_bench_registry() -> Registry:
    """Everything that is registered here, :class:`pare_bench.registry.names.Registry`; fails where a plugin could not be loaded."""
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    for info in registry.plugins.broken:
        pytest.fail(f"plugin {info}: {info.error}", pytrace=False)
    return registry


@pytest.fixture
def conformance(pare_bench_registry: Registry) -> Callable[..., None]:
    """Return ``conformance(kind, name, params=None)``: fails with the problems that ``pare-bench check kind:name`` finds, one a line.

    ``params`` are parameters by name, the defaults where none are given. A component whose files are not on this machine is skipped.
    """

    def conforms(kind: str, name: str, params: dict[str, Any] | None = None) -> None:
        from pare_bench.conformance import check
        from pare_bench.errors import DataMissingError, PareBenchError

        try:
            problems = check(pare_bench_registry, kind, name, params)
        except DataMissingError as error:
            pytest.skip(str(error))
        except PareBenchError as error:
            pytest.fail(f"{error}" + (f" (try: {error.hint})" if error.hint else ""), pytrace=False)
        if problems:
            pytest.fail("\n".join([f"{kind} '{name}' does not conform:", *(f"  {problem}" for problem in problems)]), pytrace=False)

    return conforms


@pytest.fixture
def smoke_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., RunRecord]:
    """Return ``smoke_run(*arguments)``: carries out ``pare-bench run`` in preset smoke on the CPU and returns its one record.

    Records go to a folder of the test's own. A run that fails is a record whose ``status`` and ``reason`` say so; a wrong call fails the test.
    """

    def run(*arguments: str) -> RunRecord:
        from pare_bench.cli import main
        from pare_bench.records.store import read_record

        out = tmp_path / "smoke_runs"
        code = main(["run", *arguments, "--preset", "smoke", "--device", "cpu", "--out", str(out), "--format", "json"])
        told = capsys.readouterr()
        try:
            paths = [each["path"] for each in json.loads(told.out)]
        except ValueError:
            pytest.fail(f"pare-bench run ends with {code}:\n{told.err}", pytrace=False)
        if len(paths) != 1:
            pytest.fail(f"{len(paths)} runs, not one: name one task and one seed", pytrace=False)
        return read_record(Path(paths[0]))

    return run
