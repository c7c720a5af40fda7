"""``pare-bench check``: names, kinds, exit codes and one JSON document."""

import json
import os

import pytest
import typer

from pare_bench.cli import check
from pare_bench.errors import ExitCode, UnknownNameError


def call(capsys, *names):
    code = check.check_command(list(names), check.ListFormat.JSON)
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_a_name_means_every_kind_that_has_it(capsys):
    code, found, said = call(capsys, "none")
    assert code == ExitCode.OK
    assert [(each["kind"], each["state"], each["problems"]) for each in found] == [("mixer", "conforms", []), ("aligner", "conforms", [])]
    assert "[2/2] aligner none: conforms" in said


def test_a_kind_can_be_given(capsys):
    _, found, _ = call(capsys, "mixer:none", "random")
    assert [(each["kind"], each["name"]) for each in found] == [("selector", "random"), ("mixer", "none")]


def test_an_unknown_name():
    with pytest.raises(UnknownNameError, match="unknown component 'gate_gumbl'; did you mean 'gate_gumbel'"):
        check.check_command(["gate_gumbl"])


BROKEN = """
from pare_bench import SelectorSpec, hookimpl
from pare_bench.builtin.selectors.gate import GateTopK

class Greedy(GateTopK):
    def forward(self, tokens, k):
        return super().forward(tokens, min(k + 1, tokens.shape[1]))

@hookimpl
def pare_bench_selectors():
    yield SelectorSpec(name="greedy", summary="one too many", target="plugin_of_greedy:Greedy")
    yield SelectorSpec(name="absent", summary="not there", target="plugin_of_greedy:Absent")
"""


def test_problems_end_with_six(capsys, install):
    install("greedy", BROKEN)
    code, found, _ = call(capsys, "greedy", "absent")
    assert code == ExitCode.GATE_NOT_MET
    assert [each["state"] for each in found] == ["problems", "problems"]
    assert any("exactly k" in problem for problem in found[0]["problems"])
    assert "cannot be loaded" in found[1]["problems"][0]


def test_what_cannot_be_checked_here_is_said_and_is_no_failure(capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, found, _ = call(capsys, "hf_text")
    assert code == ExitCode.OK
    assert found[0]["state"] == "cannot be checked here"
    assert "roberta-base" in found[0]["problems"][0]


def test_a_check_of_everything_asks_no_hub(capsys, monkeypatch, tmp_path):
    """Seen: without network it tried a hub again and again, for six minutes."""
    import huggingface_hub
    from hub_server import hub_server
    from huggingface_hub import constants

    from pare_bench.builtin import hub_files

    chosen = [("backbone", "hf_swin"), ("backbone", "hf_text"), ("mixer", "none")]
    for name in ("HF_HUB_OFFLINE", "PARE_BENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_files, "_HUBS", {})
    with hub_server(tmp_path) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + "/{repo_id}/resolve/{revision}/{filename}")
        with monkeypatch.context() as patch:
            patch.setattr(check, "_wanted", lambda registry, names: chosen)
            code, found, _ = call(capsys)
        assert code == ExitCode.OK
        assert [each["state"] for each in found] == ["skipped", "skipped", "conforms"]
        assert found[1]["problems"] == ["needs files of a hub, which is asked only for components that are named: pare-bench check backbone:hf_text"]
        assert server.log == []
        assert not constants.HF_HUB_OFFLINE
        assert not set(check._OFFLINE) & set(os.environ)
        # By name it is asked.
        _, found, _ = call(capsys, "backbone:hf_text")
        assert found[0]["state"] == "cannot be checked here"
        assert {path for _, path in server.log} == {"/roberta-base/resolve/main/config.json"}
    huggingface_hub.close_session()


FOREIGN = """
from huggingface_hub import hf_hub_download
from pare_bench import BackboneSpec, hookimpl
from pare_bench.contracts.backbone import Backbone

class Far(Backbone):
    def __init__(self, params=None):
        super().__init__()
        try:
            hf_hub_download("some/name", "model.safetensors")
        except OSError as error:
            raise RuntimeError("no weights") from error
    def forward(self, tokens): ...
    def embed_source(self, inputs): ...
    def embedder_weights(self): ...
    def reinitialise(self): ...

@hookimpl
def pare_bench_backbones():
    yield BackboneSpec(name="far", summary="weights from a hub", target="plugin_of_far:Far", modality="image")
"""


def test_a_component_of_others_that_asks_a_hub_itself_is_skipped(capsys, monkeypatch, install):
    install("far", FOREIGN)
    monkeypatch.setattr(check, "_wanted", lambda registry, names: [("backbone", "far")])
    code, found, _ = call(capsys)
    assert (code, [each["state"] for each in found]) == (ExitCode.OK, ["skipped"])
    assert "pare-bench check backbone:far" in found[0]["problems"][0]


OBSERVERS = """
import time
from pare_bench import hookimpl

@hookimpl
def pare_bench_epoch(loss, score):
    {epoch}

@hookimpl
def pare_bench_run_finished(record):
    {finished}
"""


@pytest.mark.parametrize(
    ("epoch", "finished", "problems"),
    [
        ("print(loss, score)", "print(record.status)", []),
        (
            "format(score, '.3f')",
            "print(record.metrics[0].value)",
            [
                "raises in pare_bench_epoch: TypeError('unsupported format string passed to NoneType.__format__') [an epoch without validation]",
                "raises in pare_bench_run_finished: IndexError('tuple index out of range') [a run is failed]",
            ],
        ),
        ("time.sleep(0 if loss == loss else 1.1)", "record.status.x", None),
    ],
    ids=["good", "raises", "slow"],
)
def test_an_observer_is_told_of_runs_that_never_were(pare_bench, install, epoch, finished, problems):
    """It goes by the name of its plugin; what it prints is no data."""
    install("watch", OBSERVERS.format(epoch=epoch, finished=finished))
    code, out, _ = pare_bench("check", "observer:watch", "--format", "json")
    found = json.loads(out)
    assert [(each["kind"], each["name"]) for each in found] == [("observer", "watch")]
    if problems is None:
        assert found[0]["problems"][0].startswith("takes 1.1 s in pare_bench_epoch, for which a run waits")
        assert "raises in pare_bench_run_finished: AttributeError" in found[0]["problems"][1]
    else:
        assert found[0]["problems"] == problems
    assert code == (ExitCode.GATE_NOT_MET if problems != [] else ExitCode.OK)


def test_observers_are_checked_with_all_others(install):
    from pare_bench.registry.names import Registry

    install("watch", OBSERVERS.format(epoch="pass", finished="pass"))
    install("other", "from pare_bench import hookimpl\n@hookimpl\ndef pare_bench_selectors():\n    return ()\n")
    assert [name for kind, name in check._wanted(Registry.from_environment(), []) if kind == "observer"] == ["watch"]


def test_what_could_not_be_loaded_is_hinted_at(install):
    install("mine", "import a_module_that_is_not_there")
    with pytest.raises(UnknownNameError) as caught:
        check.check_command(["selector:mine"])
    assert caught.value.hint == "pare-bench list  (plugins that could not be loaded: mine; see pare-bench plugins)"


SUITE = """
from pare_bench import SuiteSpec, hookimpl

@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="mine", summary="s", tasks=("ecg", "textures", "not_there"))
"""


def test_a_suite_has_tasks_that_are_there_and_can_be_ranked(capsys, install):
    install("mine", SUITE)
    code, found, _ = call(capsys, "suite:mine")
    assert code == ExitCode.GATE_NOT_MET
    assert found[0]["problems"] == [
        "its task 'textures' is source data, which methods learn from and no table ranks",
        "its task 'not_there' is not registered",
    ]


def test_it_is_a_command(capsys):
    app = typer.Typer()
    app.command()(check.check_command)
    assert app(args=["mixer:none", "--format", "md"], standalone_mode=False) == ExitCode.OK
    assert "| mixer | none | conforms |" in capsys.readouterr().out
