"""What a person sees: bars on a terminal, plain lines in a pipe, no escape bytes where nobody looks; a light start."""

from __future__ import annotations

import os
import pty
import statistics
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-c", "from pare_bench.cli import entry_point; entry_point()"]
RUN = ["run", "--method", "full_finetune", "--task", "satellite", "--preset", "smoke", "-o", "budget.epochs=2", "-o", "size.train=64"]


def environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "CI")}
    return {**kept, "TERM": "xterm-256color", "COLUMNS": "140", "OMP_NUM_THREADS": "1", **extra}


def on_a_terminal(argv: list[str], **extra: str) -> str:
    """Run with stdout and stderr on a pseudo-terminal and return everything it showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen([*PROGRAM, *argv], stdout=slave, stderr=slave, stdin=slave, env=environment(**extra))
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0, shown.decode()
    return shown.decode()


@pytest.mark.slow
def test_a_terminal_shows_bars_loss_validation_score_and_a_table(tmp_path):
    shown = on_a_terminal([*RUN, "--out", str(tmp_path)])
    assert "\x1b[" in shown
    assert "all runs" in shown
    assert "full_finetune satellite seed 0: train" in shown
    assert "loss" in shown
    assert "val error_rate" in shown
    assert "floor" in shown


@pytest.mark.slow
@pytest.mark.parametrize("extra", [{}, {"GITHUB_ACTIONS": "true", "CI": "true"}, {"FORCE_COLOR": "1"}], ids=["plain", "ci", "force_color"])
def test_a_pipe_gets_plain_lines(tmp_path, extra):
    done = subprocess.run([*PROGRAM, *RUN, "--out", str(tmp_path)], capture_output=True, text=True, env=environment(**extra), check=True)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count("[1/1] full_finetune satellite seed 0") == 1
    assert done.stdout.startswith("| task | seed | status |")


def test_no_color_on_a_terminal_has_no_colours():
    shown = on_a_terminal(["list", "method"], NO_COLOR="1")
    assert "pare" in shown
    assert "\x1b[3" not in shown


@pytest.mark.parametrize("argv", [["--help"], ["list"], ["show", "method", "pare"], ["plugins"], ["run", "--help"], ["compare", "--help"]])
def test_light_verbs_never_import_torch(argv):
    code = f"import sys; from pare_bench.cli import main; main({argv!r}); sys.exit(7 if 'torch' in sys.modules or 'scipy' in sys.modules else 0)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=False).returncode == 0


@pytest.mark.parametrize(("argv", "limit"), [(["--help"], 0.5), (["list"], 0.8)])
def test_light_verbs_start_quickly(argv, limit):
    """Processor time of the whole process, the interpreter's own start included: a busy machine does not make it fail."""

    def seconds() -> float:
        before = os.times()
        subprocess.run([*PROGRAM, *argv], capture_output=True, env=environment(), check=True)
        after = os.times()
        return (after.children_user - before.children_user) + (after.children_system - before.children_system)

    seconds()
    assert statistics.median(seconds() for _ in range(5)) <= limit


def test_broken_pipe_is_not_an_error():
    process = subprocess.Popen([*PROGRAM, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait(timeout=30)
