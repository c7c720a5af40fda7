"""Fixtures of the unit tests."""

import importlib
import sys

import pytest


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
