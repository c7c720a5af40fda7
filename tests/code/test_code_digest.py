"""The code part of a run's identity: blind to words, sensitive to meaning, complete in what it follows."""

import sys

import pytest

from pare_bench.code.digest import CORE, PLUMBING, code_digest, with_imports

SOURCE = '''
"""A module."""

def double(x):
    """Twice."""
    return 2 * x  # fast
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes a module of package ``digested`` and forgets what Python knew of it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "digested").mkdir()
    (tmp_path / "digested" / "__init__.py").write_text("")

    def write(name, source):
        (tmp_path / "digested" / f"{name}.py").write_text(source)

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "digested"]:
        del sys.modules[name]


def digest_of(package, source):
    package("part", source)
    return code_digest(["digested.part"])


@pytest.mark.parametrize(
    "changed",
    [
        SOURCE.replace("Twice.", "Two times."),
        SOURCE.replace('"""A module."""', ""),
        SOURCE.replace("# fast", "# not slow"),
        SOURCE.replace("2 * x", "2*x"),
        SOURCE.replace('    """Twice."""\n', ""),
        SOURCE + "\n\n\n",
    ],
)
def test_words_and_layout_do_not_count(package, changed):
    assert changed != SOURCE
    assert digest_of(package, changed) == digest_of(package, SOURCE)


@pytest.mark.parametrize(
    "changed", [SOURCE.replace("2 *", "3 *"), SOURCE.replace("x", "y"), SOURCE + "double = None\n", SOURCE.replace("2 * x", "x * 2")]
)
def test_meaning_counts(package, changed):
    assert digest_of(package, changed) != digest_of(package, SOURCE)


def test_the_name_of_the_module_counts_and_the_order_does_not(package):
    package("one", SOURCE)
    package("two", SOURCE)
    assert code_digest(["digested.one"]) != code_digest(["digested.two"])
    assert code_digest(["digested.one", "digested.two"]) == code_digest(["digested.two", "digested.one", "digested.one"])


def test_a_module_without_source_counts_by_name():
    assert code_digest(["math"]) == code_digest(["math"])
    assert code_digest(["math"]) != code_digest(["not_there"])


def test_imports_are_followed_inside_the_package_and_into_ours(package):
    package("top", "import numpy\nimport pare_bench.metrics\nfrom digested import middle\n")
    package("middle", "def late():\n    from digested.bottom import thing\n    return thing\n")
    package("bottom", "import digested.top\nthing = 1\n")
    package("other", "")
    found = with_imports(["digested.top"])
    assert {name for name in found if name.startswith("digested.")} == {"digested.top", "digested.middle", "digested.bottom"}
    assert "pare_bench.metrics" in found
    assert not any(name.startswith("numpy") for name in found)


def test_a_baseline_depends_on_what_it_is_made_of():
    assert {"pare_bench.model.source", "pare_bench_baselines.fine_tuning"} <= with_imports(["pare_bench_baselines.orca"])


def test_a_component_brings_what_it_is_made_of():
    found = with_imports(["pare_bench.builtin.selectors.gate"])
    assert "pare_bench.builtin.selectors.relaxation" in found
    assert "pare_bench.contracts.selector" in found


def test_plumbing_stays_out():
    found = with_imports([*CORE, "pare_bench.builtin.methods.pare"])
    assert not found & set(PLUMBING)
    assert {"pare_bench.training.loop", "pare_bench.model.losses", "pare_bench.builtin.methods.pare", "pare_bench.model.source"} <= found


def test_every_core_module_has_a_source():
    for module in CORE:
        assert with_imports([module]), module
