"""The code part of a run's identity: blind to words, names and places, sensitive to meaning, complete in what it follows."""

import base64
import hashlib
import importlib
import os
import sys

import pytest

from pare_bench.digests.closure import Code, is_plumbing
from pare_bench.provenance.identity import CORE

SOURCE = '''
"""A module."""

def double(x):
    """Twice."""
    return 2 * x  # fast
'''


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a folder in which Python finds modules, and forget them afterwards."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, **sources):
    """Write modules of a package: ``__init__`` is empty unless it is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in {"__init__": "", **sources}.items():
        (folder / f"{name}.py").write_text(source)
    importlib.invalidate_caches()


def sha(*targets):
    return Code().closure(targets).sha256


def modules(*targets):
    return set(Code().closure(targets).code)


@pytest.mark.parametrize(
    "changed",
    [
        SOURCE.replace("Twice.", "Two times."),
        SOURCE.replace('"""A module."""', ""),
        SOURCE.replace("# fast", "# not slow"),
        SOURCE.replace("2 * x", "2*x"),
        SOURCE.replace('    """Twice."""\n', ""),
        SOURCE + "\n\n\n",
        "import json\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from json import JSONEncoder\n" + SOURCE,
    ],
)
def test_words_layout_and_idle_imports_do_not_count(site, changed):
    write(site / "digested", part=SOURCE)
    before = sha("digested.part")
    write(site / "digested", part=changed)
    assert sha("digested.part") == before


@pytest.mark.parametrize(
    "changed", [SOURCE.replace("2 *", "3 *"), SOURCE.replace("x", "y"), SOURCE + "double = None\n", SOURCE.replace("2 * x", "x * 2")]
)
def test_meaning_counts(site, changed):
    write(site / "digested", part=SOURCE)
    before = sha("digested.part")
    write(site / "digested", part=changed)
    assert sha("digested.part") != before


TOP = """import numpy as np
from {package}.{middle} import scale
from pare_bench import metrics

def top(x):
    return np.sum(scale(x)), metrics
"""
MIDDLE = "from .{bottom} import thing as base\n\ndef scale(x):\n    return base * x\n"
BOTTOM = "thing = 3\nREADER = '{package}.{bottom}:thing'\n"


def three(folder, package="digested", middle="middle", bottom="bottom", top=TOP):
    names = {"package": package, "middle": middle, "bottom": bottom}
    sources = {"top": top.format(**names), middle: MIDDLE.format(**names), bottom: BOTTOM.format(**names)}
    write(folder / package, **sources)
    return f"{package}.top:top"


def test_a_module_that_moves_and_a_package_that_is_renamed_stay_the_same(site):
    before = Code().closure([three(site)])
    assert {"digested.top", "digested.middle", "digested.bottom"} <= set(before.code)
    again = Code().closure([three(site, "renamed", middle="scaling", bottom="base")])
    assert again.sha256 == before.sha256
    assert again.wiring == before.wiring
    # The names are kept for whoever wants to know which module changed.
    assert {"renamed.top", "renamed.scaling", "renamed.base"} <= set(again.code)


def test_the_order_and_place_of_imports_do_not_count(site):
    before = sha(three(site))
    first, second, third, *rest = TOP.split("\n")
    assert sha(three(site, top="\n".join([third, second, first, *rest]))) == before
    inside = f"def top(x):\n    {second}\n    {first}\n    {third}\n{rest[-2]}\n"
    assert sha(three(site, top=inside)) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.sum", "np.mean"),
        ("import numpy as np", "import numpy.linalg as np"),
        ("import numpy as np", "import math as np"),
        ("from {package}.{middle} import scale", "from {package}.{bottom} import thing as scale"),
        ("from pare_bench import metrics", "from pare_bench import otdd as metrics"),
    ],
)
def test_what_an_imported_name_stands_for_counts(site, old, new):
    before = sha(three(site))
    assert old in TOP
    assert sha(three(site, top=TOP.replace(old, new))) != before


def test_a_name_that_is_handed_on_counts(site):
    same = {"first": "def loss(x):\n    return x\n", "second": "def loss(x):\n    return -x\n", "user": "from handed import loss\nvalue = loss(1)\n"}
    write(site / "handed", __init__="from handed.first import loss\nimport handed.second\n", **same)
    before = sha("handed.user")
    write(site / "handed", __init__="import handed.first\nfrom handed.second import loss\n", **same)
    assert sha("handed.user") != before


def test_a_module_without_source_counts_by_its_bytes(site):
    write(site / "digested", top="from digested import fast\nvalue = fast\n")
    binary = site / "digested" / "fast.cpython-311-x86_64-linux-gnu.so"
    binary.write_bytes(b"one")
    before = Code().closure(["digested.top"])
    assert before.code["digested.fast"]
    binary.write_bytes(b"two")
    assert sha("digested.top") != before.sha256


def test_a_module_that_cannot_be_parsed_counts_by_its_bytes(site):
    write(site / "digested", top="from digested import broken\n", broken="def (:\n")
    before = sha("digested.top")
    write(site / "digested", top="from digested import broken\n", broken="def (::\n")
    assert sha("digested.top") != before


def test_imports_are_followed_inside_the_package_and_into_ours(site):
    write(
        site / "digested",
        top="import numpy\nimport pare_bench.metrics\nfrom digested import middle\nvalue = 1\n",
        middle="def late():\n    from digested.bottom import thing\n    return thing\n",
        bottom="import digested.top\nthing = 1\n",
        other="value = 2\n",
    )
    found = modules("digested.top")
    assert {name for name in found if name.startswith("digested.")} == {"digested.top", "digested.middle", "digested.bottom"}
    assert "pare_bench.metrics" in found
    assert not any(name.startswith("numpy") for name in found)


def test_a_module_named_in_a_text_is_followed(site):
    write(site / "digested", top="CONVERTER = 'digested.convert:read'\n", convert="def read():\n    return 1\n")
    before = sha("digested.top")
    assert "digested.convert" in modules("digested.top")
    write(site / "digested", top="CONVERTER = 'digested.convert:read'\n", convert="def read():\n    return 2\n")
    assert sha("digested.top") != before


def installed(folder, name, version="1.0", *, plugin=False, **sources):
    """Put a distribution where an installer would, with the list of its files; returns the package's folder."""
    write(folder / name, **sources)
    information = folder / f"{name}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if plugin:
        (information / "entry_points.txt").write_text(f"[pare_bench]\n{name} = {name}\n")
    rows = []
    for path in sorted((folder / name).glob("*")):
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        rows.append(f"{name}/{path.name},sha256={digest},{path.stat().st_size}")
    (information / "RECORD").write_text("\n".join(rows) + "\n")
    return folder / name


ADAPTER = "from {library}.core import fit\n\ndef method():\n    return fit()\n"
LIBRARY = "def fit():\n    return {}\n"


def test_a_library_that_is_found_by_path_is_followed(site, tmp_path, monkeypatch):
    """The usual way to bring a method: a plugin that calls the researcher's own editable library, whose code changed and whose score was served."""
    monkeypatch.syspath_prepend(str(tmp_path / "research" / "src"))
    write(tmp_path / "research" / "src" / "mylibrary", core=LIBRARY.format(1))
    installed(site, "adapter", plugin=True, method=ADAPTER.format(library="mylibrary"))
    before = Code().closure(["adapter.method:method"])
    assert "mylibrary.core" in before.code
    write(tmp_path / "research" / "src" / "mylibrary", core=LIBRARY.format(2))
    assert sha("adapter.method:method") != before.sha256


def test_an_installed_library_counts_by_name_and_version(site):
    installed(site, "mylibrary", "1.0", core=LIBRARY.format(1))
    installed(site, "adapter", plugin=True, method=ADAPTER.format(library="mylibrary"))
    before = Code().closure(["adapter.method:method"])
    assert before.libraries == {"mylibrary": "1.0"}
    assert not any(name.startswith("mylibrary") for name in before.code)
    (site / "mylibrary-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mylibrary\nVersion: 1.1\n")
    (site / "mylibrary-1.0.dist-info").rename(site / "mylibrary-1.1.dist-info")
    assert Code().closure(["adapter.method:method"]).libraries == {"mylibrary": "1.1"}


@pytest.mark.parametrize("number", [2, 22])
def test_a_file_of_an_installed_library_that_was_changed_by_hand_counts(site, number):
    folder = installed(site, "mylibrary", "1.0", core=LIBRARY.format(1))
    installed(site, "adapter", plugin=True, method=ADAPTER.format(library="mylibrary"))
    before = sha("adapter.method:method")
    (folder / "core.py").write_text(LIBRARY.format(number))
    later = (site / "mylibrary-1.0.dist-info" / "RECORD").stat().st_mtime + 60
    os.utime(folder / "core.py", (later, later))
    changed = Code().closure(["adapter.method:method"])
    assert changed.sha256 != before
    assert "mylibrary/core.py" in changed.code
    # Touched, but what it was: nothing has changed.
    (folder / "core.py").write_text(LIBRARY.format(1))
    os.utime(folder / "core.py", (later, later))
    assert sha("adapter.method:method") == before


def test_the_plugin_of_another_is_followed_though_it_is_installed(site):
    folder = installed(site, "theirs", plugin=True, core=LIBRARY.format(1))
    installed(site, "adapter", plugin=True, method=ADAPTER.format(library="theirs"))
    before = sha("adapter.method:method")
    (folder / "core.py").write_text(LIBRARY.format(2))
    assert sha("adapter.method:method") != before


def test_a_subclass_of_a_baseline_brings_the_baseline(site):
    write(site / "mine", method="from pare_bench_baselines.fine_tuning import FullFineTuning\n\nclass Mine(FullFineTuning):\n    pass\n")
    assert "pare_bench_baselines.fine_tuning" in modules("mine.method:Mine")


def test_data_files_of_a_plugin_count(site):
    folder = installed(site, "adapter", plugin=True, method="value = 1\n")
    (folder / "table.csv").write_text("1,2\n")
    (folder / "README.md").write_text("Words.\n")
    before = Code().closure(["adapter.method"])
    assert "adapter/table.csv" in before.code
    (folder / "README.md").write_text("Other words.\n")
    assert sha("adapter.method") == before.sha256
    (folder / "table.csv").write_text("1,3\n")
    assert sha("adapter.method") != before.sha256


HOOKS = """
from pare_bench import SelectorSpec, TaskSpec, hookimpl

TASKS = (TaskSpec(name="tones", summary="{summary}", target="adapter.method:Tones", modality="sequence"),)
{more}

@hookimpl
def pare_bench_selectors():
    yield SelectorSpec(name="longest", summary="{summary}", target="adapter.method:Longest")


@hookimpl
def pare_bench_tasks():
    return TASKS
"""


def test_what_a_plugin_says_when_it_registers_does_not_count(site):
    write(site / "adapter", __init__=HOOKS.format(summary="Keeps the longest.", more=""), method="value = 1\n")
    before = sha("adapter.method:value")
    write(site / "adapter", __init__=HOOKS.format(summary="Keeps the longest!", more=""), method="value = 1\n")
    assert sha("adapter.method:value") == before
    write(site / "adapter", __init__=HOOKS.format(summary="Keeps the longest.", more="LIMIT = 3"), method="value = 1\n")
    assert sha("adapter.method:value") != before


def test_a_class_that_only_looks_like_a_spec_counts(site):
    write(site / "adapter", method="from adapter.own import TaskSpec\nvalue = TaskSpec(rate=1)\n", own="class TaskSpec(dict):\n    pass\n")
    before = sha("adapter.method:value")
    write(site / "adapter", method="from adapter.own import TaskSpec\nvalue = TaskSpec(rate=2)\n", own="class TaskSpec(dict):\n    pass\n")
    assert sha("adapter.method:value") != before


def test_a_baseline_depends_on_what_it_is_made_of():
    assert {"pare_bench.model.source", "pare_bench_baselines.fine_tuning"} <= modules("pare_bench_baselines.orca")


def test_a_component_brings_what_it_is_made_of():
    found = modules("pare_bench.builtin.selectors.gate:GateGumbel")
    assert "pare_bench.builtin.selectors.relaxation" in found
    assert "pare_bench.contracts.selector" in found


def test_plumbing_and_registration_stay_out():
    found = modules(*CORE, "pare_bench.builtin.methods.pare:Pare")
    assert not [module for module in found if is_plumbing(module) or module.endswith((".plugin", ".specs"))]
    assert {"pare_bench.training.loop", "pare_bench.model.losses", "pare_bench.builtin.methods.pare", "pare_bench.model.source"} <= found


def test_every_core_module_has_a_source():
    for module in CORE:
        assert module in modules(module)


def test_what_was_read_is_remembered_and_a_changed_file_is_read_again(site, monkeypatch):
    from pare_bench.digests import sources

    write(site / "digested", part=SOURCE)
    before = sha("digested.part")
    with monkeypatch.context() as patch:
        patch.setattr(sources, "read_syntax", lambda *arguments: pytest.fail("read again"))
        assert sha("digested.part") == before
    write(site / "digested", part=SOURCE.replace("2 *", "3 *"))
    assert sha("digested.part") != before


def test_each_module_is_read_once_whatever_the_number_of_ways_that_lead_to_it(site, monkeypatch):
    from pare_bench.digests import sources

    read = []
    known = sources.read_syntax
    monkeypatch.setattr(sources, "read_syntax", lambda *arguments: read.append(arguments) or known(*arguments))
    names = [f"part{index}" for index in range(30)]
    everything = "".join(f"from crowd import {name}\n" for name in names)
    write(site / "crowd", **{name: f"{everything}value = {index}\n" for index, name in enumerate(names)})
    assert len(modules("crowd.part0")) == 30
    assert len(read) == 31
