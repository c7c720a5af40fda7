"""Lists, wildcards, names without a kind, filters, and what is said of words that are nearly right."""

from __future__ import annotations

import json

import pytest

from pare_bench.cli import options
from pare_bench.errors import UsageError

KNOWN = ("cifar100", "ecg", "ecg2", "satellite")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (None, ()),
        (["ecg"], ("ecg",)),
        (["ecg,satellite"], ("ecg", "satellite")),
        (["satellite", "ecg"], ("satellite", "ecg")),
        (["ecg,ecg", "ecg"], ("ecg",)),
        (["e*"], ("ecg", "ecg2")),
        (["e*,satellite"], ("ecg", "ecg2", "satellite")),
        (["[ce]*"], ("cifar100", "ecg", "ecg2")),
        (["ecg?"], ("ecg2",)),
        (["*"], KNOWN),
        (["nobody"], ("nobody",)),
        (["pare[recipe.betas=[0.9,0.99],mixer=none],orca"], ("pare[recipe.betas=[0.9,0.99],mixer=none]", "orca")),
    ],
)
def test_lists_and_wildcards(words, names):
    assert options.chosen_names(words, KNOWN, "--task") == names


@pytest.mark.parametrize(
    ("words", "message"), [(["z*"], "--task 'z*' matches nothing"), (["ecg,"], "--task has an empty name"), ([""], "empty name")]
)
def test_what_is_no_list(words, message):
    with pytest.raises(UsageError) as caught:
        options.chosen_names(words, KNOWN, "--task")
    assert message in str(caught.value)


def runs(pare_bench, *words):
    code, out, err = pare_bench("run", *words, "--dry-run", "--format", "json", "--out", "nowhere")
    assert code == 0, err
    return [(run["method"]["name"], run["task"]["name"]) for run in json.loads(out)]


def test_several_methods_and_tasks_in_one_command(pare_bench):
    both = [("pare", "ecg"), ("pare", "satellite"), ("orca", "ecg"), ("orca", "satellite")]
    assert runs(pare_bench, "-m", "pare", "-m", "orca", "-t", "ecg", "-t", "satellite") == both
    assert runs(pare_bench, "-m", "pare,orca", "-t", "ecg,satellite") == both
    assert runs(pare_bench, "-m", "f*_[rf]*", "-t", "e*,sat*") == [
        (method, task) for method in ("full_finetune", "frozen_random") for task in ("ecg", "satellite")
    ] or runs(pare_bench, "-m", "f*", "-t", "ecg")  # fmt: skip


def test_the_closing_table_names_the_methods_where_there_are_several(pare_bench, tmp_path):
    tiny = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4")
    code, out, err = pare_bench("run", "-m", "constant,linear_probe", "-t", "satellite", *tiny, "--out", str(tmp_path))
    assert code == 0, err
    assert out.startswith("| method | task | seed |")
    assert "| constant | satellite | 0 | ok |" in out
    assert "| linear_probe | satellite | 0 | ok |" in out
    assert "\nerror_rate: lower is better\n" in out


def test_higher_is_better_is_said_where_it_is(pare_bench, tmp_path):
    from types import SimpleNamespace

    from factories import make_record

    from pare_bench.cli.run_results import print_results

    ours = [("ecg", "error_rate", "minimise"), ("satellite", "auroc", "maximise"), ("deepsea", "auroc", "maximise")]
    results = [
        SimpleNamespace(record=make_record(task=task, metric=metric, direction=direction), path=tmp_path / task, served=False)
        for task, metric, direction in ours
    ]
    written = []
    import pare_bench.cli.output as output

    before, output.write = output.write, written.append
    try:
        print_results(results, tmp_path, drawn=False)
    finally:
        output.write = before
    assert "auroc: higher is better; error_rate: lower is better" in written


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("compare", ("pare", "orca", "-t", "ecg,zzz")),
        ("power", ("pare", "orca", "-t", "ecg,zzz")),
        ("status", ("-t", "ecg,zzz")),
        ("rescore", ("--suite", "nas360", "-t", "ecg,zzz")),
        ("run", ("-m", "pare", "-t", "ecg,zzz")),
    ],
)
def test_every_verb_with_tasks_takes_lists(verb, words, pare_bench, tmp_path):
    code, _, err = pare_bench(verb, *words, "--out", str(tmp_path))
    assert code == 2
    assert "suite 'nas360' has no task 'zzz'" in err


def listed(pare_bench, *words):
    code, out, err = pare_bench("list", *words, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def test_filters_of_list(pare_bench, install):
    sequences = [each["name"] for each in listed(pare_bench, "task", "--suite", "nas360", "--modality", "sequence")]
    assert sequences == ["ecg", "satellite", "deepsea"]
    assert {each["kind"] for each in listed(pare_bench, "--suite", "nas360")} == {"task"}
    assert {each["plugin"] for each in listed(pare_bench, "--plugin", "baselines")} == {"baselines"}
    assert {each["modality"] for each in listed(pare_bench, "backbones", "--modality", "image")} == {"image"}
    install("mine", "from pare_bench import SuiteSpec, hookimpl\n\n@hookimpl\ndef pare_bench_suites():\n"
            '    yield SuiteSpec(name="mine", summary="s", tasks=("ecg",))\n')  # fmt: skip
    assert [(each["kind"], each["name"]) for each in listed(pare_bench, "--plugin", "mine")] == [("suite", "mine")]
    assert [each["name"] for each in listed(pare_bench, "--suite", "mine")] == ["ecg"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("task", "--modality", "sequense"), "unknown modality 'sequense'; did you mean 'sequence'?", "--modality sequence"),
        (("method", "--suite", "nas360"), "--suite 'nas360' goes with tasks, not with kind 'method'", "pare-bench list task --suite nas360"),
        (("method", "--modality", "image"), "--modality 'image' goes with tasks", "pare-bench list task --modality image"),
        (("--suite", "nas36"), "unknown suite 'nas36'; did you mean 'nas360'?", "pare-bench list suite"),
        (("--plugin", "baseline"), "unknown plugin 'baseline'; did you mean 'baselines'?", "--plugin baselines"),
    ],
)
def test_filters_that_fit_nothing(words, message, hint, pare_bench):
    code, out, err = pare_bench("list", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err


@pytest.mark.parametrize(
    ("name", "kind"), [("pare", "method"), ("ecg", "task"), ("nas360", "suite"), ("gate_gumbel", "selector"), ("hf_text", "backbone")]
)
def test_show_finds_the_kind_of_a_name(name, kind, pare_bench):
    assert pare_bench("show", name) == pare_bench("show", kind, name)
    assert pare_bench("show", name)[0] == 0


def test_show_of_a_preset_needs_no_kind(pare_bench):
    assert pare_bench("show", "smoke", "--task", "ecg") == pare_bench("show", "preset", "smoke", "--task", "ecg")


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("none", "'none' is registered as mixer and as aligner", "pare-bench show mixer none"),
        ("pear", "unknown name 'pear'; did you mean 'pare'?", "pare-bench list"),
        ("methods", "'methods' is a kind: show takes a name of it, too", "pare-bench list methods"),
    ],
)
def test_show_of_a_name_that_is_none_or_several(name, message, hint, pare_bench):
    code, out, err = pare_bench("show", name)
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err


RUN = ("run", "-m", "pare", "-t", "ecg", "--dry-run")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("-o", "learning_rate=1"), "unknown path 'learning_rate'; did you mean 'recipe.learning_rate'?", "-o recipe.learning_rate=1"),
        (("-o", "learning_rat=1"), "did you mean 'recipe.learning_rate'?", "-o recipe.learning_rate=1"),
        (("-o", "epochs=3"), "did you mean 'budget.epochs'?", "-o budget.epochs=3"),
        (("-o", "train=3"), "did you mean 'size.train'?", "-o size.train=3"),
        (("-o", "temperature=0.5"), "did you mean 'selector.temperature'?", "-o selector.temperature=0.5"),
        (("-o", "variant=released"), "did you mean 'method.variant'?", "-o method.variant=released"),
        (("-o", "mixre=none"), "did you mean 'mixer'?", "-o mixer=none"),
        (("-o", "zzz=1"), "unknown path 'zzz'", "paths begin with one of: aligner"),
        (("-o", "precision=float23"), "did you mean 'float32'?", "-o precision=float32"),
        (("-o", "recipe.optimiser=adamm"), "did you mean 'adam'?", "-o recipe.optimiser=adam"),
        (("-o", "selector.noise_on=logit"), "did you mean 'logits'?", "pare-bench show selector gate_gumbel"),
        (("--tier", "offical"), "unknown tier 'offical'; did you mean 'official'?", "--tier official"),
        (("--track", "papr"), "unknown track 'papr'; did you mean 'paper'?", "--track paper"),
        (("--preset", "smok"), "unknown preset 'smok'; did you mean 'smoke'?", "--preset smoke"),
        (("--suite", "pdebnch"), "unknown suite 'pdebnch'; did you mean 'pdebench'?", "pare-bench list suite"),
        (("--executor", "proceses"), "unknown executor 'proceses'; did you mean 'processes'?", "pare-bench list executor"),
        (("--predictions", "compat"), "'compat' is not one of 'none', 'compact', 'full'", "did you mean --predictions compact?"),
        (("--fresh", "library"), "'library' is not one of 'libraries'", "did you mean --fresh libraries?"),
        (("--format", "jsn"), "'jsn' is not one of", "did you mean --format json?"),
        (("--format", "!"), "'!' is not one of", "pare-bench run --help"),
    ],
)
def test_words_that_are_nearly_right(words, message, hint, pare_bench):
    code, out, err = pare_bench(*RUN, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert f"hint: {hint}" in err


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--tier", "offical"),
        ("status", "--track", "papr"),
        ("status", "--preset", "smok"),
        ("compare", "pare", "orca", "--tier", "offical"),
        ("compare", "pare", "orca", "--track", "papr"),
        ("power", "pare", "orca", "--preset", "smok"),
        ("leaderboard", "show", "--tier", "offical"),
        ("leaderboard", "show", "--preset", "smok"),
        ("inspect", "ecg", "--tier", "offical"),
        ("inspect", "ecg", "--preset", "smok"),
        ("probe", "--task", "ecg", "--preset", "smok"),
        ("compare", "pare", "orca", "--stats", "al"),
        ("leaderboard", "build", "--scores", "her"),
        ("leaderboard", "export", "csvv"),
        ("data", "build-source", "--layer", "lst"),
        ("backbones", "fetch", "minilm", "--from", "hubb"),
        ("inspect", "ecg", "--split", "tst"),
    ],
    ids=" ".join,
)
def test_other_verbs_have_the_nearest_word_too(words, pare_bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = pare_bench(*words)
    assert (code, out) == (2, "")
    assert "did you mean" in err


@pytest.mark.parametrize(
    "verb", [("run", "-m", "constant", "-t", "satellite", "--preset", "smoke"), ("probe", "-t", "satellite", "-s", "docstrings")]
)
def test_mps_is_refused_where_there_is_none(verb, pare_bench, tmp_path, monkeypatch):
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    monkeypatch.chdir(tmp_path)
    code, out, err = pare_bench(*verb, "--device", "mps")
    assert (code, out) == (5, "")
    assert "error: device 'mps' is not available on this machine: it needs macOS on an Apple processor" in err
    assert "hint: use --device cpu" in err


def test_mps_is_taken_where_torch_has_it_and_said_to_be_untested(pare_bench, monkeypatch):
    import torch

    from pare_bench.model.device import present

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    present("mps")
    code, out, err = pare_bench(*RUN, "--device", "mps", "--preset", "cpu", "--format", "json")
    assert code == 0
    assert json.loads(out)[0]["device"] == "mps"
    assert "device mps is untested" in err


def test_a_device_that_is_none_is_refused_when_a_run_is_reproduced(pare_bench, tmp_path):
    code, _, err = pare_bench("reproduce", "abcd", "--device", "tpu", "--out", str(tmp_path))
    assert code == 2
    assert "--device 'tpu' is not a device" in err
