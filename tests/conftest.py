"""Shared fixtures: a cache of generated data for the whole session, no sockets beyond this machine, plugins that are installed for one test."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys

import pytest

# One thread a process, set before torch is imported and handed on to child processes: tests work on small tensors, and where several processes
# share two cores, threads that wait for each other cost more than all the computing. Benchmarks take what the machine has (their own conftest).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell without job control starts what runs in the background with Ctrl-C ignored, and its children inherit that: tests that interrupt commands
# would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _session_cache(tmp_path_factory):
    """Generated data go to a folder of this session, never to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARE_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(autouse=True)
def _no_network(request, monkeypatch):
    """Refuse connections to other machines unless the test is marked ``network``."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests may not connect to {host}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def pare_bench(capsys):
    """Call the command line as the console script does; returns (exit code, stdout, stderr)."""
    from pare_bench.cli import main

    def call(*argv: str) -> tuple[int, str, str]:
        code = main(list(argv))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return ``install(plugin, source, ...)``: puts a distribution with one plugin module where Python finds it, as pip would."""
    made = []
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def write(plugin, source, *, distribution=None, version="1.0", module=None):
        distribution, module = distribution or f"pare-bench-{plugin}", module or f"plugin_of_{plugin}"
        (site / f"{module}.py").write_text(source)
        information = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (information / "entry_points.txt").write_text(f"[pare_bench]\n{plugin} = {module}\n")
        made.append(module)
        importlib.invalidate_caches()

    yield write
    for module in made:
        sys.modules.pop(module, None)
