"""``pare-bench check``: names, kinds, exit codes and one JSON document."""

import json

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


def test_it_is_a_command(capsys):
    app = typer.Typer()
    app.command()(check.check_command)
    assert app(args=["mixer:none", "--format", "md"], standalone_mode=False) == ExitCode.OK
    assert "| mixer | none | conforms |" in capsys.readouterr().out
