"""What holds for every verb: examples that parse in its help, one JSON document, a row in docs/cli.md, and a group that prints its help."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy
import pytest
import typer.main

from pare_bench.cli.app import build_app
from pare_bench.cli.examples import EXAMPLES

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
ROOT = typer.main.get_command(build_app([]))


def walked(command=ROOT, words=()):
    """Return every command below the program, with its words; groups as well."""
    below = [pair for name, each in getattr(command, "commands", {}).items() for pair in walked(each, (*words, name))]
    return [(words, command), *below]


ALL = dict(walked())
GROUPS = [words for words, command in ALL.items() if hasattr(command, "commands")]
#: Groups that do something without a verb, too.
ALONE = [words for words in GROUPS if words and ALL[words].invoke_without_command]
VERBS = [words for words in ALL if words not in GROUPS or words in ALONE]


def test_there_are_the_verbs_that_we_think_there_are():
    assert {("run",), ("config", "show"), ("doctor",), ("leaderboard", "build"), ("data", "build-source")} <= set(VERBS)
    assert ALONE == [("plugins",)]
    assert {(), ("data",), ("leaderboard",), ("config",), ("backbones",)} <= set(GROUPS)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_its_help_ends_in_examples(words, pare_bench):
    code, out, err = pare_bench(*words, "--help")
    assert code == 0, err
    examples = out.partition("\n  Examples:\n")[2].splitlines()
    assert [line.strip() for line in examples] == list(EXAMPLES[" ".join(words)])
    assert examples


def parsed(line):
    """Hand a command line to the parser, and return the words of the verb that took it; nothing is called."""
    program, *words = shlex.split(line)
    assert program == "pare-bench"
    context, command, path = ROOT.make_context("pare-bench", list(words)), ROOT, []
    while hasattr(command, "commands") and (context._protected_args or context.args):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        path.append(name)
        context = command.make_context(name, rest, parent=context)
    return tuple(path)


@pytest.mark.parametrize(("verb", "line"), [(verb, line) for verb, lines in EXAMPLES.items() for line in lines])
def test_its_examples_are_what_the_parser_takes(verb, line, tmp_path, monkeypatch):
    (tmp_path / "sweep.toml").write_text('method = "pare"\n')
    monkeypatch.chdir(tmp_path)
    words = tuple(verb.split())
    assert words in ALL, f"there is no verb '{verb}'"
    assert words in GROUPS or parsed(line) == words
    assert parsed(line)[: len(words)] == words


def test_the_parser_of_this_test_refuses_what_is_wrong():
    with pytest.raises(typer.TyperException):
        parsed("pare-bench run --metod pare")


@pytest.mark.parametrize("words", [words for words in GROUPS if words not in ALONE], ids=" ".join)
def test_a_bare_group_prints_its_help_and_ends_as_the_top_level_does(words, pare_bench):
    code, out, err = pare_bench(*words)
    assert (code, out) == (2, "")
    assert err.rstrip() == pare_bench(*words, "--help")[1].rstrip()
    assert len(err.splitlines()) > 5


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_it_gives_json_and_the_page_says_what(words):
    (option,) = [each for each in ALL[words].params if "--format" in each.opts]
    assert "json" in [choice.value for choice in option.type_descriptor.choices]
    assert shape(" ".join(words))


def shape(verb):
    """Return what docs/cli.md says of a verb's document: whether it is a list, and the names that it has, or that each of the list has."""
    (row,) = re.findall(rf"^\| `{verb}` \| (list|object)\b(.*)\|$", PAGE, re.MULTILINE)
    return row[0], re.findall(r"`(\w+)`", row[1])


def test_the_page_lists_no_verb_that_is_not_there():
    table = PAGE.partition("\n## JSON\n")[2].partition("\n## ")[0]
    assert {tuple(verb.split()) for verb in re.findall(r"^\| `([a-z -]+)` \|", table, re.MULTILINE)} == set(VERBS)


def check_document(verb, out):
    """Check that stdout is one JSON document of the documented shape."""
    document, (kind, names) = json.loads(out), shape(verb)
    assert isinstance(document, list if kind == "list" else dict)
    for each in document if kind == "list" else [document]:
        assert set(names) <= set(each), verb
    assert document
    return document


TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a run of two methods without training, and the id of one."""
    from pare_bench.cli import main

    out = tmp_path_factory.mktemp("store")
    assert main(["run", "-m", "constant", "-t", "satellite,ecg", "--seeds", "0-1", "--out", str(out), *TINY]) == 0
    return out, next((out / "records/nas360/satellite/constant").glob("*.json")).stem


def cases(out, run, folder):
    """Return a cheap call of every verb, by its words, with the exit code that it has."""
    at = ("--out", str(out))
    return {
        "run": (("-m", "constant", "-t", "satellite", *at, *TINY), 0),
        "config show": (("-m", "constant", "-t", "satellite"), 0),
        "status": (("-m", "constant", *at), 0),
        "explain": ((run, *at), 0),
        "reproduce": ((run, *at), 0),
        "rescore": ((run, "--dry-run", *at), 0),
        "inspect": (("ecg", "--summary", "--preset", "smoke"), 0),
        "probe": (("-t", "satellite", "-s", "docstrings", "--train", "60", "--test", "20", "--preset", "smoke"), 6),
        "list": (("suites",), 0),
        "show": (("constant",), 0),
        "plugins": ((), 0),
        "plugins new": (("mine", "--kind", "selector", "--to", str(folder / "mine")), 0),
        "check": (("selector:random",), 0),
        "doctor": (at, 0),
        "data status": (("satellite",), 0),
        "data fetch": (("satellite", "--dry-run"), 0),
        "data verify": (("satellite",), 0),
        "data export": ((str(folder / "files.tar"), "--task", "satellite"), 0),
        "data import": ((str(folder / "files.tar"),), 0),
        "data generate": (("satellite", "--preset", "smoke"), 0),
        "data build-source": (("--task", "docstrings", "--examples", "4", "--out", str(folder / "tokens.safetensors")), 0),
        "backbones list": ((), 0),
        "leaderboard validate": ((str(out),), 0),
        "leaderboard schema": ((), 0),
        "leaderboard build": (at, 0),
        "leaderboard show": (at, 0),
        "leaderboard site": ((*at, "--no-pictures", "--to", str(folder / "page.html")), 0),
        "leaderboard export": (("csv", *at), 0),
        "leaderboard bundle": ((str(folder / "bundle.zip"), *at), 0),
        "leaderboard verify": ((str(folder / "bundle.zip"),), 0),
        "leaderboard add": ((str(folder / "bundle.zip"), "--out", str(folder / "other")), 0),
    }


def test_every_verb_writes_one_document_of_the_documented_shape(pare_bench, store, tmp_path, monkeypatch):
    """In the order of the page: what one verb writes another one reads."""
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data/satellite").mkdir(parents=True)
    # One of two files: tier auto stays where it was.
    numpy.save(tmp_path / "data/satellite/satellite_train.npy", numpy.zeros((4, 46)))
    monkeypatch.setattr("pare_bench.datasets.fetch.remote_sizes", lambda wanted, timeout: [None for _ in wanted])
    called = cases(*store, tmp_path)
    # Their documents need records of two trained methods and a file that is fetched: the tests of those verbs look at them.
    assert {" ".join(words) for words in VERBS} - set(called) == {"compare", "power", "backbones fetch"}
    for verb, (words, expected) in called.items():
        code, out, err = pare_bench(*verb.split(), *words, "--format", "json")
        assert code == expected, (verb, err)
        check_document(verb, out)


def test_a_comparison_and_its_power_write_the_documented_shapes(pare_bench, tmp_path):
    from factories import make_record

    from pare_bench.records.store import Store

    for number, method in enumerate(("pare", "orca")):
        for task in ("ecg", "satellite", "deepsea"):
            for seed in range(3):
                Store(tmp_path).save(make_record(method, task, 0.3 + 0.05 * number + 0.01 * seed, seed=seed))
    for verb in ("compare", "power"):
        code, out, err = pare_bench(verb, "pare", "orca", "-t", "ecg,satellite,deepsea", "--out", str(tmp_path), "--format", "json")
        assert code == 0, err
        check_document(verb, out)


def test_a_wrong_call_leaves_stdout_empty_under_json_too(pare_bench):
    code, out, err = pare_bench("run", "-m", "nobody", "--format", "json")
    assert (code, out) == (2, "")
    assert "unknown method 'nobody'" in err
