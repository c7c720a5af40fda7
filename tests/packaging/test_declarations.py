"""What stands around the code says one thing: versions of the checks before a commit, the citation, the declared addresses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from pare_bench.registry.versions import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINS = dict(re.findall(r"^([a-z0-9-]+)==([^ ;\n]+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
HOOKS = {hook["id"]: hook for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"] for hook in repo["hooks"]}
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))


@pytest.mark.parametrize("name", ["ruff", "ruff-format"])
def test_a_hook_has_the_version_of_the_constraints(name):
    assert HOOKS[name]["additional_dependencies"] == [f"ruff=={PINS['ruff']}"]


@pytest.mark.parametrize(("name", "tool"), [("mypy", "mypy"), ("lint-imports", "import-linter")])
def test_a_hook_of_the_environment_is_pinned_by_the_constraints(name, tool):
    """It needs what it checks, so it runs where CONTRIBUTING.md installs both with ``-c constraints.txt``."""
    assert HOOKS[name]["language"] == "system"
    assert any(requirement.startswith(f"{tool}>=") for requirement in PROJECT["optional-dependencies"]["lint"])
    assert tool in PINS
    assert 'pip install -c constraints.txt -e ".[test,lint]"' in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_hooks_check_what_tox_checks():
    tox = (ROOT / "tox.ini").read_text("utf-8")
    assert set(HOOKS) == {"ruff", "ruff-format", "mypy", "lint-imports"}
    for command in ("ruff check", "ruff format --check", "mypy pare_bench baselines/pare_bench_baselines", "lint-imports"):
        assert command in tox
        assert any(command in hook["entry"] for hook in HOOKS.values()), command


def test_the_citation_is_of_this_version():
    assert CITATION["cff-version"] == "1.2.0"
    assert (CITATION["title"], CITATION["version"], CITATION["license"]) == (PROJECT["name"], __version__, PROJECT["license"])
    assert CITATION["authors"] == [{"name": "The pare-bench authors"}]
    assert CITATION["keywords"] == PROJECT["keywords"]


def test_the_citation_names_both_papers():
    pare, orca = CITATION["references"]
    assert [author["family-names"] for author in pare["authors"]] == ["Cai", "Li", "Ma", "Kang", "Xie", "Sun", "Zhu"]
    assert (pare["year"], pare["volume"], pare["start"], pare["end"]) == (2024, 235, 5236, 5257)
    assert [author["family-names"] for author in orca["authors"]] == ["Shen", "Li", "Dery", "Staten", "Khodak", "Neubig", "Talwalkar"]
    assert (orca["year"], orca["identifiers"][0]["value"]) == (2023, "arXiv:2302.05738")


@pytest.mark.skipif(shutil.which("cffconvert") is None, reason="cffconvert is not installed (docs/releasing.md asks for it by hand)")
def test_the_citation_follows_the_schema():
    done = subprocess.run(["cffconvert", "--validate", "-i", str(ROOT / "CITATION.cff")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_declared_addresses_are_those_of_the_citation():
    """No host is made up: what the project's metadata name is what is cited."""
    assert set(PROJECT["urls"].values()) == {reference["url"] for reference in CITATION["references"]}


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.skipif(not os.environ.get("PARE_BENCH_NETWORK_TESTS"), reason="opens connections: set PARE_BENCH_NETWORK_TESTS=1")
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_an_extra_resolves(extra, tmp_path):
    """There are versions that go together, for each Python that is allowed; asked of the index that uv is set to."""
    out = tmp_path / "resolved.txt"
    argv = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--extra", extra, str(ROOT / "pyproject.toml")]
    done = subprocess.run([*argv, "--output-file", str(out)], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    resolved = set(re.findall(r"^([a-z0-9._-]+)==", out.read_text("utf-8"), re.MULTILINE))
    named = {re.match(r"[A-Za-z0-9_-]+", requirement)[0].lower() for requirement in PROJECT["optional-dependencies"][extra]}
    assert {name.replace("_", "-") for name in named} <= {name.replace("_", "-").partition(".")[0] for name in resolved}
