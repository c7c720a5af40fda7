"""Plugin loading with distributions that really lie on sys.path: selection, provenance, and survival of broken ones."""

import json

import pytest

from pare_bench.errors import PluginError
from pare_bench.registry.names import Registry
from pare_bench.registry.plugins import load_plugins

GOOD = """
from pare_bench import SelectorSpec, hookimpl

@hookimpl
def pare_bench_selectors():
    yield SelectorSpec(name="{name}", summary="a test", target="nowhere:Nothing")
"""


def info(plugins, name):
    return next(each for each in plugins.infos if each.name == name)


def test_own_plugins_come_first_and_are_good(install):
    install("aaa", GOOD.format(name="first"))
    plugins = load_plugins({})
    assert [each.name for each in plugins.infos] == ["baselines", "builtin", "aaa"]
    assert plugins.broken == ()


def test_provenance(install):
    install("good", GOOD.format(name="fine"), distribution="pare-bench-fine", version="3.1")
    plugins = load_plugins({})
    assert str(info(plugins, "good")) == "'good' (pare-bench-fine 3.1)"
    entry = Registry(plugins).entry("selector", "fine")
    assert (entry.plugin.distribution, entry.plugin.version, entry.plugin.module) == ("pare-bench-fine", "3.1", "plugin_of_good")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import a_module_that_is_not_there", ("cannot be imported", "ModuleNotFoundError", "a_module_that_is_not_there")),
        ("raise RuntimeError('no licence')", ("cannot be imported", "RuntimeError: no licence")),
        ("def broken(:", ("cannot be imported", "SyntaxError")),
        (GOOD.format(name="x").replace("pare_bench_selectors", "pare_bench_selector"), ("does not fit", "did you mean 'pare_bench_selectors'?")),
        (GOOD.format(name="x").replace("selectors():", "selectors(registry):"), ("does not fit", "registry")),
        (
            GOOD.format(name="x").replace("pare_bench_selectors", "pare_bench_mixers"),
            ("yields SelectorSpec from pare_bench_mixers", "takes MixerSpec"),
        ),
        (GOOD.format(name="x").replace("    yield", "    raise OSError('gone')\n    yield"), ("fails in pare_bench_selectors", "OSError: gone")),
        (GOOD.format(name="No-Good"), ("fails in pare_bench_selectors", "'No-Good' is not allowed", "(use lower-case letters")),
        (
            GOOD.format(name="x").replace("Selector", "Method").replace("selectors", "methods").replace('"a test"', '"a test", slots=("gate",)'),
            ("fails in pare_bench_methods", "method 'x' has slots with 'gate'", "known: backbone, embedder, selector, mixer, aligner, source"),
        ),
        (GOOD.format(name="x").replace("    yield", "    return None\n    yield").replace("yield", "pass  #"), ("fails in pare_bench_selectors",)),
    ],
    ids=["import", "raises", "syntax", "misspelt", "argument", "wrong spec", "hook fails", "bad name", "bad slot", "returns None"],
)
def test_a_broken_plugin_is_reported_and_stops_nothing(install, source, words):
    install("broken", source)
    install("sound", GOOD.format(name="sound_one"))
    plugins = load_plugins({})
    assert [each.name for each in plugins.broken] == ["broken"]
    for word in words:
        assert word in info(plugins, "broken").error
    assert "\n" not in info(plugins, "broken").error.strip()
    registry = Registry(plugins)
    assert "sound_one" in registry.names("selector")
    assert "gate_gumbel" in registry.names("selector")
    assert not {"x", "No-Good"} & set(registry.names("selector"))


def test_a_good_hook_of_a_broken_plugin_registers_nothing(install):
    install("half", GOOD.format(name="half_selector") + "\n@hookimpl\ndef pare_bench_mixers():\n    yield 3\n")
    registry = Registry(load_plugins({}))
    assert "half_selector" not in registry.names("selector")
    assert "yields int from pare_bench_mixers" in registry.plugins.broken[0].error


@pytest.mark.parametrize(
    "twice",
    [
        GOOD.format(name="same") + GOOD.format(name="same").partition("def pare_bench_selectors():\n")[2],
        GOOD.format(name="same") + '\n@hookimpl(specname="pare_bench_selectors")\ndef more():' + GOOD.format(name="same").partition("):")[2],
    ],
    ids=["in one hook", "in two functions"],
)
def test_a_plugin_that_yields_a_name_twice_is_told_so_by_its_own_name(install, twice):
    """Seen: "registered by two plugins: 'mine' and 'mine'", and every command stopped."""
    install("mine", twice)
    registry = Registry(load_plugins({}))
    assert info(registry.plugins, "mine").error == (
        "yields selector 'same' twice from pare_bench_selectors: give one of them another name, or take it out"
    )
    assert "same" not in registry.names("selector")


def test_a_hook_may_be_implemented_twice_by_one_plugin(install):
    """Seen: the second function's specs took the place of the first one's."""
    install(
        "mine", GOOD.format(name="one") + '\n@hookimpl(specname="pare_bench_selectors")\ndef more():' + GOOD.format(name="two").partition("):")[2]
    )
    registry = Registry(load_plugins({}))
    assert registry.plugins.broken == ()
    assert {"one", "two"} <= set(registry.names("selector"))


@pytest.mark.parametrize(
    ("said", "error", "api"),
    [
        ("PLUGIN_API = 1", None, 1),
        ("PLUGIN_API: int = 1", None, 1),
        ("", None, None),
        ("PLUGIN_API = 2", "needs plugin API 2, and pare-bench 0.1.0 has 1: upgrade pare-bench, or take an older version of the plugin", 2),
        ("PLUGIN_API = '1'", "states PLUGIN_API = '1', not a whole number from 1 (this pare-bench has 1)", None),
        ("PLUGIN_API = 0", "states PLUGIN_API = 0, not a whole number from 1 (this pare-bench has 1)", 0),
        ("PLUGIN_API = True", "states PLUGIN_API = True, not a whole number from 1 (this pare-bench has 1)", None),
    ],
)
def test_a_plugin_says_which_api_it_needs(install, monkeypatch, said, error, api):
    """A newer one is refused with one line, whether or not what it needs of it can be imported."""
    monkeypatch.setattr("pare_bench.registry.plugins.__version__", "0.1.0")
    install("mine", f"{said}\n{GOOD.format(name='mine')}")
    found = info(load_plugins({}), "mine")
    assert (found.error, found.api) == (error, api)
    assert ("mine" in Registry(load_plugins({})).names("selector")) is (error is None)


@pytest.mark.parametrize(
    "needs",
    ["from pare_bench import VideoSpec", "from pare_bench.registry import video", "def broken(:", "raise RuntimeError('old')"],
)
def test_a_plugin_of_a_newer_api_that_cannot_be_imported_says_why(install, needs):
    """What it cannot import is what it needs the newer API for; a file that cannot be parsed says nothing."""
    install("mine", f"PLUGIN_API = 7\n{needs}\n")
    error = info(load_plugins({}), "mine").error
    assert error.startswith("cannot be imported: SyntaxError" if "broken" in needs else "needs plugin API 7, and pare-bench")


def test_a_newer_api_is_told_before_hooks_that_are_not_known(install):
    install("mine", "PLUGIN_API = 2\n" + GOOD.format(name="x").replace("pare_bench_selectors", "pare_bench_videos"))
    assert info(load_plugins({}), "mine").error.startswith("needs plugin API 2")


def test_plugins_shows_the_api_and_the_refusal(install, pare_bench):
    install("mine", f"PLUGIN_API = 2\n{GOOD.format(name='mine')}")
    code, out, _ = pare_bench("plugins", "--format", "json")
    (found,) = [each for each in json.loads(out) if each["name"] == "mine"]
    assert (code, found["api"]) == (0, 2)
    assert "needs plugin API 2" in found["error"]
    assert "needs plugin API 2" in pare_bench("plugins")[1]


def test_a_plugin_name_is_taken_once(install):
    install("twice", GOOD.format(name="one"), distribution="dist-a", module="twice_a")
    install("twice", GOOD.format(name="two"), distribution="dist-b", module="twice_b")
    plugins = load_plugins({})
    (broken,) = plugins.broken
    assert "already taken by 'twice' (dist-a 1.0)" in broken.error
    assert broken.distribution == "dist-b"


def test_selection_by_variable(install):
    install("one", GOOD.format(name="one_selector"))
    install("two", GOOD.format(name="two_selector"))

    def loaded(setting):
        return {each.name for each in load_plugins({"PARE_BENCH_PLUGINS": setting}).infos}

    assert loaded("none") == {"builtin", "baselines"}
    assert loaded("") == {"builtin", "baselines"}
    assert loaded("one") == {"builtin", "baselines", "one"}
    assert loaded(" one , two ") == {"builtin", "baselines", "one", "two"}


def test_selection_of_an_unknown_plugin(install):
    install("margin", GOOD.format(name="margin"))
    with pytest.raises(PluginError, match=r"PARE_BENCH_PLUGINS names plugin 'margn', which is not installed; did you mean 'margin'\?") as caught:
        load_plugins({"PARE_BENCH_PLUGINS": "margn"})
    assert "margin" in caught.value.hint


def test_a_deselected_broken_plugin_is_not_even_imported(install, capsys):
    install("loud", "print('imported'); raise SystemError")
    assert load_plugins({"PARE_BENCH_PLUGINS": "none"}).broken == ()
    assert "imported" not in capsys.readouterr().out


OBSERVER = """
from pare_bench import hookimpl
seen = []

@hookimpl
def pare_bench_run_started(run_id):
    seen.append(run_id)
    {tail}
"""


def test_observers_are_told_what_they_ask_for(install):
    install("watch", OBSERVER.format(tail=""))
    load_plugins({}).notify("pare_bench_run_started", config=None, run_id="abc")
    import plugin_of_watch

    assert plugin_of_watch.seen == ["abc"]


def test_a_failing_observer_is_a_warning(install):
    install("bad_watch", OBSERVER.format(tail="raise ValueError('disk full')"))
    install("good_watch", OBSERVER.format(tail=""))
    with pytest.warns(RuntimeWarning, match=r"plugin 'bad_watch' failed in pare_bench_run_started: ValueError\('disk full'\)"):
        load_plugins({}).notify("pare_bench_run_started", config=None, run_id="abc")
    import plugin_of_good_watch

    assert plugin_of_good_watch.seen == ["abc"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("@hookimpl(wrapper=True)\ndef pare_bench_run_started():\n    return (yield)\n", "has a wrapper around pare_bench_run_started"),
        ("@hookimpl(hookwrapper=True)\ndef pare_bench_tasks():\n    yield\n", "has a wrapper around pare_bench_tasks"),
        ("@hookimpl\ndef pare_bench_epoch(loss):\n    yield loss\n", "has a pare_bench_epoch that never runs: it is a coroutine or a generator"),
        ("@hookimpl\nasync def pare_bench_run_finished(record):\n    print(record)\n", "has a pare_bench_run_finished that never runs"),
    ],
)
def test_a_hook_whose_call_would_do_nothing_is_refused(install, source, said):
    """Seen: an observer with a yield in it, or one that wraps the others, was "ok" and told nothing, ever."""
    install("lazy", f"from pare_bench import hookimpl\n{source}")
    assert said in info(load_plugins({}), "lazy").error


def test_a_hook_is_called_once_and_may_yield_what_can_be_read_once(install):
    """Seen: hooks were called twice, and a plugin that gave a generator made at import registered nothing and was "ok"."""
    install(
        "once",
        "from pare_bench import SelectorSpec, hookimpl\ncalls = []\n"
        "made = iter([SelectorSpec(name='first_read', summary='a test', target='nowhere:Nothing')])\n"
        "@hookimpl\ndef pare_bench_selectors():\n    calls.append(1)\n    return made\n",
    )
    registry = Registry(load_plugins({}))
    assert "first_read" in registry.names("selector")
    import plugin_of_once

    assert plugin_of_once.calls == [1]
    assert "first_read" in Registry(registry.plugins).names("selector")


@pytest.mark.parametrize(
    "source",
    ["VALUE = 1\n", "def pare_bench_selectors():\n    return ()\n"],
    ids=["nothing at all", "hookimpl forgotten"],
)
def test_a_module_without_any_hook_is_not_ok(install, source):
    install("empty", source)
    assert "has no hooks" in info(load_plugins({}), "empty").error


MEDDLER = """
from pare_bench import hookimpl

@hookimpl
def pare_bench_run_started(config, run_id):
    config.task.params["made_up"] = 1
    config.backbone.params.clear()

@hookimpl
def pare_bench_run_finished(record):
    record.method.params["made_up"] = 1
    record.config.task.params["made_up"] = 1
"""


def test_observers_get_copies(install, pare_bench, tmp_path):
    """Seen: what an observer wrote into the configuration changed the run."""
    from pare_bench.records.store import Store

    tiny = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8", "-o", "budget.epochs=1")
    command = ("run", "--method", "full_finetune", "--task", "satellite", "--format", "json", *tiny)
    assert pare_bench(*command, "--out", str(tmp_path / "plain"))[0] == 0
    install("meddler", MEDDLER)
    code, out, _ = pare_bench(*command, "--out", str(tmp_path / "watched"))
    assert code == 0
    (plain,), (watched,) = Store(tmp_path / "plain").records(), Store(tmp_path / "watched").records()
    assert watched.run_id == plain.run_id
    assert watched.config == plain.config
    assert watched.predictions_sha256 == plain.predictions_sha256
    assert "made_up" not in out
