"""``--config FILE.toml`` and ``config show``: what a file says, what the command line makes of it, and where each value comes from."""

from __future__ import annotations

import json

import pytest

FILE = """
method = ["full_finetune", "constant"]
task = "satellite"
preset = "smoke"
seeds = "0-1"
resume = false

[options]
recipe.learning_rate = 0.0007
size = { train = 8, val = 4, test = 4 }
"backbone.dropout" = 0.25

[options.budget]
epochs = 3
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return what writes a file and gives its path as one would type it."""
    monkeypatch.chdir(tmp_path)

    def to(text, name="sweep.toml"):
        (tmp_path / name).write_text(text)
        return name

    return to


def planned(pare_bench, *words):
    code, out, err = pare_bench("run", *words, "--dry-run", "--format", "json", "--out", "out")
    assert code == 0, err
    return json.loads(out)


def fields(pare_bench, *words):
    code, out, err = pare_bench("config", "show", *words, "--origin", "--format", "json")
    assert code == 0, err
    return {(each["run"], field["path"]): (field["value"], field["origin"]) for each in json.loads(out) for field in each["fields"]}


def test_a_file_says_what_is_run(write, pare_bench):
    runs = planned(pare_bench, "--config", write(FILE.replace('["full_finetune", "constant"]', '"full_finetune"')))
    assert [(run["method"]["name"], run["task"]["name"], run["seed"]) for run in runs] == [("full_finetune", "satellite", seed) for seed in (0, 1)]
    assert runs[0]["recipe"]["learning_rate"] == 0.0007
    assert runs[0]["size"] == {"train": 8, "val": 4, "test": 4}
    assert runs[0]["backbone"]["params"]["dropout"] == 0.25
    assert runs[0]["budget"]["epochs"] == 3


def test_the_command_line_wins(write, pare_bench):
    file = write(FILE)
    runs = planned(pare_bench, "--config", file, "-m", "full_finetune", "--seeds", "7", "-o", "recipe.learning_rate=0.5", "-t", "ecg")
    assert [(run["method"]["name"], run["task"]["name"], run["seed"]) for run in runs] == [("full_finetune", "ecg", 7)]
    assert runs[0]["recipe"]["learning_rate"] == 0.5
    # What it leaves alone stays as the file says, in whatever order the two stand.
    assert runs[0]["budget"]["epochs"] == 3
    again = planned(pare_bench, "-m", "full_finetune", "-o", "recipe.learning_rate=0.5", "-t", "ecg", "--seeds", "7", "--config", file)
    assert again == runs


def test_a_component_that_is_exchanged_takes_its_parameters_along(write, pare_bench):
    file = write('method = "pare"\ntask = "ecg"\n[options]\nselector.name = "gate_gumbel"\nselector.temperature = 0.5\n')
    (run,) = planned(pare_bench, "--config", file)
    assert run["selector"]["params"]["temperature"] == 0.5
    (run,) = planned(pare_bench, "--config", file, "-o", "selector=random")
    assert run["selector"]["name"] == "random"


def test_a_run_by_a_file_is_the_run_by_its_options(write, pare_bench, tmp_path):
    words = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4")
    assert pare_bench("run", "-m", "constant", "-t", "satellite", "--out", "out", *words)[0] == 0
    file = write('method="constant"\ntask=["satellite"]\npreset="smoke"\nout="out"\n[options.size]\ntrain=8\nval=4\ntest=4\n')
    code, out, err = pare_bench("run", "--config", file)
    assert code == 0, err
    assert "| served |" in out


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('metod = "pare"', "'metod' is no option; did you mean 'method'?", "write method = ..."),
        ("no-resume = true", "'no-resume' is no option; did you mean 'resume'?", "write resume = ..."),
        ("[recipe]\nlearning_rate = 1", "'recipe' is no option; its only table is [options]", "write [options.recipe]"),
        ("[option]\nrecipe.learning_rate = 1", "'option' is no option; its only table is [options]", "write [options]"),
        ("options = 3", "options = 3 is no table", "write [options]"),
        ("dry-run = true", "'dry-run' is no option", "it takes: compile, device"),
        ("config = 'x.toml'", "'config' is no option", None),
        ("method = 3.5\nseeds = [true]", "'seeds' cannot be [True]", 'write seeds = "..."'),
        ("task = ['a', 1]", "'task' cannot be ['a', 1]", 'task = ["...", "..."]'),
        ("resume = 'no'", "'resume' is true or false, not 'no'", "write resume = true"),
        ("jobs = 'many'", "'sweep.toml': invalid value for '--jobs'", "pare-bench run --help"),
        ("predictions = 'compat'", "'sweep.toml': invalid value for '--predictions'", "did you mean --predictions compact?"),
        ("method = ", "--config 'sweep.toml' is not TOML", None),
        ("a = " + "[" * 5000, "--config 'sweep.toml' is not TOML", None),
        ("[options]\nrecipe.learning_rate = 1979-05-27", "'recipe.learning_rate' cannot be datetime.date", None),
        ("method='pare'\n[options]\nlearning_rate = 1", "did you mean 'recipe.learning_rate'?", "-o recipe.learning_rate=1"),
        ("method='pare'\ntier='offical'", "unknown tier 'offical'; did you mean 'official'?", "--tier official"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(text, message, hint, write, pare_bench):
    code, out, err = pare_bench("run", "--config", write(text), "--dry-run")
    assert (code, out) == (2, "")
    assert message in err
    assert hint is None or hint in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("error:")]) == 1


def test_a_file_that_is_not_there_too_large_or_no_text(write, pare_bench, tmp_path):
    code, _, err = pare_bench("run", "--config", "nowhere.toml", "--dry-run")
    assert code == 5
    assert "--config 'nowhere.toml' cannot be read" in err
    assert pare_bench("run", "--config", ".", "--dry-run")[0] == 5
    assert "larger than 1,000,000 bytes" in pare_bench("run", "--config", write("#" * 1_000_001), "--dry-run")[2]
    (tmp_path / "latin.toml").write_bytes(b'method = "\xe9"')
    code, _, err = pare_bench("run", "--config", "latin.toml", "--dry-run")
    assert code == 2
    assert "is not UTF-8 text" in err


def test_without_a_method_anywhere_that_is_said(write, pare_bench):
    code, _, err = pare_bench("run", "--config", write("task = 'ecg'"), "--dry-run")
    assert code == 2
    assert "missing option '--method' / '-m'" in err


def test_every_value_has_an_origin(write, pare_bench):
    found = fields(pare_bench, "--config", write(FILE), "-m", "full_finetune", "-o", "recipe.weight_decay=0.5", "--track", "clean")
    run = "full_finetune satellite seed 0"

    def origin(path):
        return found[run, path][1]

    assert {key[0] for key in found} == {run}
    assert found[run, "recipe.learning_rate"] == (0.0007, "config file 'sweep.toml'")
    assert origin("budget.epochs") == origin("backbone.dropout") == origin("task") == origin("seed") == "config file 'sweep.toml'"
    assert origin("preset") == "config file 'sweep.toml'"
    assert found[run, "recipe.weight_decay"] == (0.5, "-o")
    assert (origin("method"), origin("track")) == ("--method", "--track")
    assert origin("tier") == "default, auto"
    assert origin("backbone").startswith("preset smoke: ")
    assert origin("backbone.pretrained") == "default of backbone 'nano_text'"
    assert origin("recipe.schedule") == "default"


def test_the_layers_of_a_run_are_told_apart(pare_bench):
    """Preset, task, released code, recommendation, what a method implies, and what a body asks for."""
    found = fields(pare_bench, "-m", "pare", "-t", "ecg", "--track", "paper")
    origins = {path: origin for (_, path), (_, origin) in found.items()}
    released = {path for path, origin in origins.items() if origin == "track paper of 'pare'"}
    assert released
    assert origins["mixer.begin"] == "preset cpu: PaRe ecg_PaRe.yaml: 32 of 50 tokens, as a share"
    assert origins["budget.epochs"] == "preset cpu: task ecg"
    assert origins["size.train"] == "preset cpu: sizes of task 'ecg'"
    assert origins["source_size.train"] == "preset cpu: sizes of source 'docstrings'"
    path = min(released)
    again = fields(pare_bench, "-m", "pare", "-t", "ecg", "--track", "paper", "-o", f"{path}={json.dumps(found['pare ecg seed 0', path][0])}")
    assert again["pare ecg seed 0", path][1] == "-o"


@pytest.mark.parametrize(
    "words", [("-m", "pare", "-t", "fsd50k"), ("-m", "orca", "-t", "ecg"), ("-m", "hand_designed", "-t", "darcy_flow", "--track", "paper")]
)
def test_origins_are_those_of_what_run_would_do(words, pare_bench, tmp_path, monkeypatch):
    """The values shown are the ones that are run: the same resolution, asked twice."""
    from pare_bench.config.run_config import RunConfig
    from pare_bench.config.settings import flattened

    monkeypatch.chdir(tmp_path)
    (run,) = planned(pare_bench, *words)
    run.pop("forecast")
    shown = {path: value for (_, path), (value, _) in fields(pare_bench, *words).items()}
    flat = flattened(RunConfig.model_validate(run).model_dump(mode="json"))
    assert {path: json.loads(json.dumps(value)) for path, value in shown.items()}.keys() <= flat.keys()
    assert all(shown[path] == run["recipe"][path.removeprefix("recipe.")] for path in shown if path.startswith("recipe."))
    assert shown["method"] == run["method"]["name"]


def test_any_call_of_run_can_be_asked_about(pare_bench, tmp_path):
    """Options that make no field of a run are taken and change nothing."""
    plain = fields(pare_bench, "-m", "pare", "-t", "ecg")
    assert fields(pare_bench, "-m", "pare", "-t", "ecg", "--jobs", "2", "--out", str(tmp_path), "-q", "--no-resume", "--fail-fast") == plain
    assert "--jobs" not in pare_bench("config", "show", "--help")[1]


def test_a_switch_is_an_origin_too(pare_bench):
    found = fields(pare_bench, "-m", "full_finetune", "-t", "ecg", "--compile")
    assert found["full_finetune ecg seed 0", "compile"] == (True, "--compile")
