"""What the product writes to may be closed, full, or of another encoding; what it is told may be no UTF-8: never a traceback, nothing lost."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pare_bench.records.store import Store

TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4", "-o", "budget.epochs=1")
RUN = ("run", "--method", "constant", "--task", "satellite", *TINY)
SHELL = shutil.which("bash")
needs_shell = pytest.mark.skipif(SHELL is None or not Path("/dev/full").exists(), reason="needs bash and /dev/full")


def command(*argv):
    call = ["-c", "import sys; from pare_bench.cli import entry_point; sys.argv[0] = 'pare-bench'; entry_point()", *map(os.fsdecode, argv)]
    return [sys.executable, *call]


def shell(redirection, *argv, **environment):
    """Run the command with its stdout redirected as a shell does; returns (exit code, stderr)."""
    done = subprocess.run(
        [SHELL, "-c", f'"$@" {redirection}', "bash", *command(*argv)], stderr=subprocess.PIPE, env={**os.environ, **environment}, check=False
    )
    return done.returncode, done.stderr.decode()


@needs_shell
@pytest.mark.parametrize("verb", [("list",), ("list", "--format", "json"), ("--help",), ("run", "--help"), ("plugins",)])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_stdout_that_takes_nothing_is_one_line(verb, redirection):
    code, err = shell(redirection, *verb)
    assert "Traceback" not in err
    if redirection == ">/dev/full":
        assert code == 5
        assert "No space left on device" in err
    else:
        # Click itself says nothing to a stdout that is not there.
        assert code == (0 if "--help" in verb else 5)


@needs_shell
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_what_was_computed_is_kept(redirection, tmp_path):
    code, err = shell(redirection, *RUN, "--out", tmp_path)
    assert (code, "Traceback" in err) == (5, False)
    assert [record.status for record in Store(tmp_path).records()] == ["ok"]


@needs_shell
@pytest.mark.parametrize("shape", ["table", "md", "json"])
def test_an_encoding_that_lacks_a_character(shape, tmp_path):
    out = tmp_path / "\u6570\u636e"
    code, err = shell(">/dev/null", *RUN, "--out", out, "--format", shape, PYTHONIOENCODING="latin-1")
    assert (code, "Traceback" in err) == (0, False)
    assert [record.status for record in Store(out).records()] == ["ok"]


def test_a_terminal_without_columns_is_shown_something():
    main, other = pty.openpty()
    process = subprocess.Popen(command("list", "method"), stdout=other, stderr=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "0"})
    os.close(other)
    shown = b""
    while True:
        try:
            block = os.read(main, 4096)
        except OSError:
            break
        if not block:
            break
        shown += block
    assert process.wait(60) == 0
    assert b"full_finetune" in shown


@pytest.mark.skipif(sys.platform != "linux", reason="names of other encodings")
def test_a_folder_whose_name_is_no_utf_8_leaves_records_that_can_be_read(tmp_path):
    """Seen: a record that nobody could read, with exit code 0, and the run done again each time."""
    out = os.fsencode(tmp_path) + b"/caf\xe9"
    first = subprocess.run(command(*RUN, "--out", out), capture_output=True, check=False)
    assert first.returncode == 0, first.stderr
    again = subprocess.run(command(*RUN, "--out", out), capture_output=True, check=False)
    assert b"served from the store" in again.stderr
    (record,) = Store(Path(os.fsdecode(out))).records()
    assert "caf\\udce9" in record.command


def test_a_value_that_is_no_utf_8_is_refused_by_name(pare_bench, tmp_path):
    code, _, err = pare_bench(*RUN, "-o", "backbone.model=caf\udce9", "--out", str(tmp_path))
    assert code == 2
    assert "text that is not UTF-8" in err


def test_a_failure_whose_message_is_no_utf_8_is_a_record(pare_bench, tmp_path, monkeypatch):
    from pare_bench_baselines.constant import Constant

    def fail(self, data, context):
        raise RuntimeError("cannot open caf\udce9")

    monkeypatch.setattr(Constant, "fit", fail)
    assert pare_bench(*RUN, "--out", str(tmp_path))[0] == 1
    (record,) = Store(tmp_path).records()
    assert (record.status, record.reason) == ("failed", "RuntimeError: cannot open caf\\udce9")


def test_a_slip_of_the_finger_in_seeds_is_refused(pare_bench):
    code, _, err = pare_bench("run", "--method", "constant", "--seeds", "0-4294967295")
    assert code == 2
    assert "more than 100,000 seeds" in err
