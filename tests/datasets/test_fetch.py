"""Downloads from a server that misbehaves: what is not the file is refused with a reason, what broke off goes on, mirrors are tried in turn."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from unreliable_server import unreliable_server

from pare_bench.contracts.files import OfficialFile
from pare_bench.datasets import fetch
from pare_bench.datasets.fetch import ResumingDownloader, Wanted, fetch_file, wanted_files
from pare_bench.datasets.index import read_index
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError

CONTENT = os.urandom(300_000)


@pytest.fixture(autouse=True)
def _quick_and_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(ResumingDownloader.__init__, "__kwdefaults__", {"sleep": lambda seconds: None})


@pytest.fixture
def server():
    with unreliable_server() as server:
        yield server


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


class Recorder:
    """Notes what a display is told."""

    def __init__(self):
        self.calls = []

    def begin(self, name, total, done):
        self.calls.append(("begin", name, total, done))

    def advance(self, count):
        self.calls.append(("advance", count))

    def end(self):
        self.calls.append(("end",))


def get(root, server, file, *paths, progress=None, timeout=5.0):
    return fetch_file(root, Wanted("toy", file, tuple(f"{server.address}{path}" for path in paths)), progress or Recorder(), timeout=timeout)


def digests(content):
    return hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).hexdigest()


def quarantined(root):
    """Return {reason: content} of the quarantine."""
    reasons = sorted((root / "quarantine").glob("*.reason.txt"))
    return {
        reason.read_text().splitlines()[2]: path.read_bytes() if (path := reason.with_name(reason.name.removesuffix(".reason.txt"))).exists() else b""
        for reason in reasons
    }


def nothing_in_place(root):
    return not (root / "toy").exists() or not list((root / "toy").iterdir())


def test_a_file_comes_is_recorded_and_shown(root, server):
    server.files["/a.bin"] = CONTENT
    progress = Recorder()
    place = get(root, server, OfficialFile("sub/a.bin"), "/a.bin", progress=progress)
    assert place == root / "toy" / "sub" / "a.bin"
    assert place.read_bytes() == CONTENT
    entry = read_index(root)["toy/sub/a.bin"]
    assert (entry.size, entry.sha256, entry.source) == (len(CONTENT), digests(CONTENT)[0], f"{server.address}/a.bin")
    assert progress.calls[0] == ("begin", "toy/sub/a.bin", len(CONTENT), 0)
    assert sum(call[1] for call in progress.calls if call[0] == "advance") == len(CONTENT)
    assert not list((root / "partial").glob("*a.bin*"))


@pytest.mark.parametrize("behaviour", ["", "no ranges", "no ranges no length"])
def test_declared_digests(root, server, behaviour):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = behaviour
    sha256, md5 = digests(CONTENT)
    for number, (sha, md) in enumerate([(sha256, None), (None, md5), (sha256.upper(), md5)]):
        get(root, server, OfficialFile(f"{number}.bin", size=len(CONTENT), sha256=sha, md5=md), "/a.bin")
    for sha, md in [("0" * 64, None), (None, "0" * 32), (sha256, "0" * 32)]:
        with pytest.raises(IntegrityError, match="published is 000"):
            get(root, server, OfficialFile("bad.bin", sha256=sha, md5=md), "/a.bin")
    assert not (root / "toy" / "bad.bin").exists()
    assert CONTENT in quarantined(root).values()
    assert "toy/bad.bin" not in read_index(root)


def test_a_broken_connection_is_resumed(root, server):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "breaks off once"
    progress = Recorder()
    assert get(root, server, OfficialFile("a.bin"), "/a.bin", progress=progress).read_bytes() == CONTENT
    # Every byte was sent once: the second answer went on where the first one stopped.
    assert server.sent["/a.bin"] == len(CONTENT)
    assert server.gets("/a.bin")[:2] == [None, f"bytes={len(CONTENT) // 2}-"]
    assert ("begin", "toy/a.bin", len(CONTENT), len(CONTENT) // 2) in progress.calls


def test_the_next_call_goes_on_where_the_last_one_stopped(root, server, monkeypatch):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "breaks off once"
    monkeypatch.setattr(fetch, "ATTEMPTS", 0)  # as if the process had been killed at the first break
    with pytest.raises(IntegrityError, match=f"broke off after {len(CONTENT) // 2} of {len(CONTENT)} bytes"):
        get(root, server, OfficialFile("a.bin"), "/a.bin")
    assert nothing_in_place(root)
    assert get(root, server, OfficialFile("a.bin"), "/a.bin").read_bytes() == CONTENT
    assert server.sent["/a.bin"] == len(CONTENT)


def test_a_file_that_changed_on_the_server_starts_again(root, server, monkeypatch):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "breaks off once"
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "ATTEMPTS", 0)
        with pytest.raises(IntegrityError):
            get(root, server, OfficialFile("a.bin"), "/a.bin")
    server.files["/a.bin"] = CONTENT[::-1]
    assert get(root, server, OfficialFile("a.bin"), "/a.bin").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_starts_again(root, server):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "no ranges breaks off once"
    assert get(root, server, OfficialFile("a.bin"), "/a.bin").read_bytes() == CONTENT
    assert server.sent["/a.bin"] == len(CONTENT) + len(CONTENT) // 2


def test_always_truncated(root, server):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "no ranges breaks off"
    with pytest.raises(
        IntegrityError, match=rf"^'toy/a\.bin' is not fetched: {server.address}/a\.bin broke off after 150000 of 300000 bytes$"
    ) as caught:
        get(root, server, OfficialFile("a.bin"), "/a.bin")
    assert "--mirror" in caught.value.hint
    assert nothing_in_place(root)
    # Useless for resuming, so it is set aside.
    assert quarantined(root) == {"broke off after 150000 of 300000 bytes": CONTENT[:150000]}
    assert len(server.gets("/a.bin")) == 4


def test_slow_halves_reach_the_end(root, server):
    """Each answer brings half of what is left: progress, so it goes on, for as many requests as it takes."""
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "breaks off"
    assert get(root, server, OfficialFile("a.bin"), "/a.bin").read_bytes() == CONTENT
    assert server.sent["/a.bin"] == len(CONTENT)
    assert len(server.gets("/a.bin")) > 15


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("announces too much", "announces 301000 bytes and ends after 300000"),
        ("no ranges announces too much", "broke off after 300000 of 301000 bytes"),
    ],
)
def test_a_server_that_announces_too_much(root, server, behaviour, words):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = behaviour
    with pytest.raises(IntegrityError, match=words):
        get(root, server, OfficialFile("a.bin"), "/a.bin")
    assert nothing_in_place(root)


def test_a_server_that_announces_too_little(root, server):
    """It is found by asking for more, by the format, by a published size or by a published digest, whichever there is."""
    buffer = io.BytesIO()
    np.save(buffer, np.arange(5000))
    server.files |= {"/a.bin": CONTENT, "/a.npy": buffer.getvalue()}
    server.behaviour |= {"/a.bin": "announces too little", "/a.npy": "no ranges announces too little"}
    with pytest.raises(IntegrityError, match="the file goes on after the 150000 bytes that the server announced"):
        get(root, server, OfficialFile("a.bin"), "/a.bin")
    with pytest.raises(IntegrityError, match="its header promises 40000"):
        get(root, server, OfficialFile("a.npy"), "/a.npy")
    server.behaviour["/a.bin"] = "no ranges announces too little"
    with pytest.raises(IntegrityError, match="announces 150000 bytes, published are 300000"):
        get(root, server, OfficialFile("a.bin", size=len(CONTENT)), "/a.bin")
    with pytest.raises(IntegrityError, match="has sha256"):
        get(root, server, OfficialFile("a.bin", sha256=digests(CONTENT)[0]), "/a.bin")
    assert nothing_in_place(root)
    assert len(quarantined(root)) == 4


def test_a_redirect_to_a_web_page(root, server):
    server.behaviour["/a.npz"] = "redirect to HTML"
    with pytest.raises(IntegrityError, match=r"a\.npz answers with a web page instead of the file$"):
        get(root, server, OfficialFile("a.npz"), "/a.npz")
    assert nothing_in_place(root)
    assert quarantined(root) == {"a web page instead of the file": b"<!DOCTYPE html><html><body>Please log in</body></html>"}


def test_endless_redirects(root, server):
    server.behaviour["/a.npz"] = "redirect for ever"
    with pytest.raises(DataMissingError, match=r"a\.npz redirects for ever$"):
        get(root, server, OfficialFile("a.npz"), "/a.npz")


@pytest.mark.parametrize(
    ("code", "reason"), [("403", "Forbidden"), ("404", "Not Found"), ("500", "Internal Server Error"), ("503", "Service Unavailable")]
)
def test_refusals_name_the_mirror(root, server, code, reason):
    server.behaviour["/a.bin"] = code
    with pytest.raises(DataMissingError) as caught:
        get(root, server, OfficialFile("a.bin"), "/a.bin")
    assert str(caught.value) == f"'toy/a.bin' is not fetched: {server.address}/a.bin answers {code} {reason}"
    assert nothing_in_place(root)


@pytest.mark.parametrize("behaviour", ["hangs", "resets"])
def test_no_answer(root, server, behaviour):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = behaviour
    with pytest.raises(DataMissingError, match="cannot be reached"):
        get(root, server, OfficialFile("a.bin"), "/a.bin", timeout=0.2)
    assert len(server.gets("/a.bin")) == fetch.ATTEMPTS


def test_a_server_that_stalls(root, server):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "no ranges announces too much stalls"
    with pytest.raises(IntegrityError, match="broke off after 300000 of 301000 bytes"):
        get(root, server, OfficialFile("a.bin"), "/a.bin", timeout=0.2)


def test_nobody_listens(root):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.bin"
    with pytest.raises(DataMissingError, match=r"cannot be reached \(.*refused.*\)$") as caught:
        fetch_file(root, Wanted("toy", OfficialFile("a.bin"), (url,)), Recorder())
    assert "\n" not in str(caught.value)


def test_mirrors_are_tried_in_turn(root, server):
    server.files["/good/a.bin"] = CONTENT
    server.files["/cut/a.bin"] = CONTENT
    server.behaviour |= {"/forbidden/a.bin": "403", "/page/a.bin": "redirect to HTML", "/cut/a.bin": "no ranges breaks off"}
    get(root, server, OfficialFile("a.bin"), "/none/a.bin", "/forbidden/a.bin", "/page/a.bin", "/cut/a.bin", "/good/a.bin")
    assert (root / "toy" / "a.bin").read_bytes() == CONTENT
    assert read_index(root)["toy/a.bin"].source == f"{server.address}/good/a.bin"
    with pytest.raises(IntegrityError) as caught:
        get(root, server, OfficialFile("b.bin"), "/none/a.bin", "/forbidden/a.bin", "/page/a.bin")
    for part in ("none/a.bin answers 404", "forbidden/a.bin answers 403", "page/a.bin answers with a web page"):
        assert part in str(caught.value)


def test_a_file_without_an_address(root):
    with pytest.raises(DataMissingError, match="has no address") as caught:
        fetch_file(root, Wanted("toy", OfficialFile("a.bin"), ()), Recorder())
    assert str(root / "toy" / "a.bin") in caught.value.hint


def test_other_schemes_are_refused_in_one_line(root):
    with pytest.raises((DataMissingError, IntegrityError), match="gopher"):
        fetch_file(root, Wanted("toy", OfficialFile("a.bin"), ("gopher://127.0.0.1/a",)), Recorder())


def test_a_root_that_cannot_be_written(tmp_path, server):
    server.files["/a.bin"] = CONTENT
    (tmp_path / "root").write_text("a file stands where the folder should be")
    with pytest.raises(EnvironmentFault):
        get(tmp_path / "root", server, OfficialFile("a.bin"), "/a.bin")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        fetch.check_room(tmp_path / "root", 1)


def test_no_room(tmp_path):
    with pytest.raises(EnvironmentFault, match="has room for"):
        fetch.check_room(tmp_path, 10**18)


def test_sizes_are_asked_for(server):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/page"] = "redirect to HTML"
    url = server.address
    declared = Wanted("toy", OfficialFile("a", size=7), ())
    asked = [Wanted("toy", OfficialFile("a"), urls) for urls in ((f"{url}/none", f"{url}/page", f"{url}/a.bin"), (f"{url}/none",), (), ("doi:1/2",))]
    assert fetch.remote_sizes([declared, *asked]) == [7, len(CONTENT), None, None, None]


def test_a_silent_server_is_asked_once(server):
    server.behaviour["/a.bin"] = "hangs"
    server.files["/a.bin"] = CONTENT
    wanted = Wanted("toy", OfficialFile("a"), (f"{server.address}/a.bin",))
    assert fetch.remote_sizes([wanted] * 5, timeout=0.2) == [None] * 5
    assert len(server.log) == 1


def test_which_files_are_wanted(root):
    def names(declared, **options):
        return [wanted.file.path for wanted in wanted_files(root, "toy", declared, **options)]

    must, may = OfficialFile("must", ("u",)), OfficialFile("may", ("u",), optional=True)
    first, second = OfficialFile("by hand", optional=True), OfficialFile("second", ("u",), optional=True)
    assert names([must, may]) == ["must"]
    assert names([must, may], everything=True) == ["must", "may"]
    assert names([first, second, may]) == ["second"]
    assert names([first]) == ["by hand"]
    (root / "toy").mkdir(parents=True)
    (root / "toy" / "may").write_text("x")
    assert names([first, second, may]) == []
    assert names([must, may]) == ["must"]
    (root / "must").write_text("x")
    assert names([must, may], everything=True) == []
    (wanted,) = wanted_files(root, "toy", [OfficialFile("a", ("http://published/a",))], mirrors=["http://one/", "http://two/x"])
    assert wanted.file.urls == ("http://published/a",)
    assert wanted.urls == ("http://one/toy/a", "http://two/x/toy/a", "http://published/a")


def test_two_processes_fetch_once(root, server):
    server.files["/a.bin"] = CONTENT
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: get(root, server, OfficialFile("a.bin"), "/a.bin"), range(4)))
    assert {place.read_bytes() for place in places} == {CONTENT}
    assert server.sent["/a.bin"] == len(CONTENT)


def test_partial_downloads_with_damaged_notes_start_again(root, server, monkeypatch):
    server.files["/a.bin"] = CONTENT
    server.behaviour["/a.bin"] = "breaks off once"
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "ATTEMPTS", 0)
        with pytest.raises(IntegrityError):
            get(root, server, OfficialFile("a.bin"), "/a.bin")
    (notes,) = (root / "partial").glob("*.json")
    assert json.loads(notes.read_text())["total"] == len(CONTENT)
    notes.write_text("{")
    assert get(root, server, OfficialFile("a.bin"), "/a.bin").read_bytes() == CONTENT
