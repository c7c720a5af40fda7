"""Every reader of a file, fed with what nobody wrote: our own error or none, never another; nothing is executed, and memory stays below 1 GB.

Each example is a whole file (tests/readers.py) with some damage: bits, bytes, cuts, repetitions, numbers blown up, pieces of hostile files put in;
or bytes of no file at all. A reader may raise a PareBenchError, and what the table says that its callers turn into one line.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from proof_tools import count
from readers import READERS

from pare_bench.errors import PareBenchError

#: Examples a reader.
EXAMPLES = count(100, 10_000)
SHORT = EXAMPLES < 10_000
#: Slow readers get fewer in CI: an HDF5 file is opened by a large library, an archive is unpacked to disk.
SLOW = {name: count(15, 10_000) for name in READERS if name.startswith(("hdf5", "cifar", "archive", "submission", "cache", "plan"))}
#: Bytes that a reader may hold at once, above what the process had before.
MEMORY = 1 << 30
HOSTILE = (
    b"",
    b"<!DOCTYPE html><html></html>",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"1" * 5_000,
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"null",
    b"\x80\x04\x8e" + (10 * 2**30).to_bytes(8, "little"),
    (2**63 - 1).to_bytes(8, "little"),
    (2**32 - 1).to_bytes(4, "little"),
    b"\xff" * 16,
    b"\x00" * 64,
    b"../../../etc/passwd",
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 9), }",
    pickle.dumps([os.system], 2),
    b"\xed\xa0\x80",
)
NUMBERS = (b"999999999999", b"-1", b"0", b"1e308", b"18446744073709551616", b"[]", b'"x"', b"true")


@st.composite
def damaged(draw, seeds):
    """A whole file with one to four kinds of damage, or bytes of no file."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(HOSTILE) | st.binary(max_size=200))
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        content = _once(draw, content)
    return content


def _once(draw, content):
    start = draw(st.integers(0, max(0, len(content) - 1)))
    kind = draw(st.sampled_from(("bit", "bytes", "cut", "drop", "twice", "insert", "number", "swap")))
    if kind == "bit" and content:
        return content[:start] + bytes([content[start] ^ 1 << draw(st.integers(0, 7))]) + content[start + 1 :]
    if kind == "bytes":
        new = draw(st.binary(min_size=1, max_size=8))
        return content[:start] + new + content[start + len(new) :]
    if kind == "cut":
        return content[:start]
    length = draw(st.integers(1, 64))
    piece = content[start : start + length]
    if kind == "drop":
        return content[:start] + content[start + length :]
    if kind == "twice":
        return content[:start] + piece * 2 + content[start + length :]
    if kind == "insert":
        return content[:start] + draw(st.sampled_from(HOSTILE)) + content[start:]
    if kind == "swap":
        other = draw(st.integers(0, max(0, len(content) - length)))
        return content[:other] + piece + content[other + len(piece) :]
    # The number, word or value that stands after the place, in a file of text.
    end = start
    while start < len(content) and content[start : start + 1] not in b'0123456789"-tfn':
        start += 1
    end = start + 1
    while end < len(content) and content[end : end + 1] not in b' ,]}\n"':
        end += 1
    return content[:start] + draw(st.sampled_from(NUMBERS)) + content[end:]


@pytest.fixture(scope="module")
def folder():
    """A folder of its own that is emptied after every example."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def limited():
    """Let this process have no more than MEMORY bytes above what it has; what needs more gets a MemoryError, as in a conversion's own process.

    Seen: one example of pickle's took all 23 GB of the machine (a place in the memo of 2**31; pickles are read in a process with such a limit alone).
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmSize:"))
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(line.split()[1]) * 1024 + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "pty.spawn", "webbrowser.open")
_SEEN: list[str] = []
_WATCHING = [False]


def _watch(event, args):
    if _WATCHING[0] and event.startswith(_FORBIDDEN):
        _SEEN.append(event)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", READERS)
def test_nothing_but_our_own_error(folder, name):
    reader = READERS[name]
    tried = {"refused": 0, "read": 0}

    def attempt(content):
        _WATCHING[0] = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read(folder, content)
            tried["read"] += 1
        except (PareBenchError, *reader.also):
            tried["refused"] += 1
        finally:
            _WATCHING[0] = False
            for path in folder.iterdir():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        assert not list(folder.parent.glob("passwd"))

    # The table is right: the files that are damaged below are whole.
    for seed in reader.seeds:
        attempt(seed)
    assert tried["read"], "no file of this reader can be read"

    @settings(max_examples=SLOW.get(name, EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=SHORT)
    @given(damaged(reader.seeds))
    def fuzzed(content):
        attempt(content)

    with limited():
        fuzzed()
    assert _SEEN == []
    if not SHORT:
        print(f"{name}: {json.dumps(tried)}")


sys.addaudithook(_watch)
