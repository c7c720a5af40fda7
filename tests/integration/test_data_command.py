"""``pare-bench data``: every verb on small files, with the documented exit codes and one line per error, from a server on this machine."""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import socket
import subprocess
import sys
import tarfile
import time

import numpy as np
import official_files
import pytest
from unreliable_server import unreliable_server

from pare_bench.datasets.index import read_index
from pare_bench.registry.names import Registry

CONTENT = b"1,2,3\n" * 1000
PLUGIN = """
import numpy as np
from pare_bench import TaskSpec, SuiteSpec, hookimpl
from pare_bench.contracts.task import Classes, InputShape, OfficialFile, Task, TaskSize

class Toy(Task):
    name, version, inputs, target, metrics = "toy_files", 1, InputShape(1, (2,)), Classes(2), ()
    sizes = {"cpu": TaskSize(1, 1, 1)}
    official_files = (
        OfficialFile("a.csv", ("ADDRESS/a.csv",)),
        OfficialFile("b.tar", ("ADDRESS/b.tar",), members=("things",)),
        OfficialFile("extra.csv", ("ADDRESS/extra.csv",), optional=True),
    )

    def generated(self, seed, size):
        raise NotImplementedError

@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="toy_files", summary="files", target=f"{__name__}:Toy", modality="sequence", tiers=("official",))

@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="toys", summary="files", tasks=("toy_files",))
"""


def archive_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def server():
    with unreliable_server() as server:
        server.files |= {"/a.csv": CONTENT, "/b.tar": archive_of({"things/1.txt": b"one", "things/2.txt": b"two"}), "/extra.csv": b"0\n"}
        yield server


@pytest.fixture
def root(tmp_path, monkeypatch, server, install):
    """An empty data folder, and a plugin whose task reads files from the server."""
    install("toys", PLUGIN.replace("ADDRESS", server.address))
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PARE_BENCH_OFFLINE", raising=False)
    return tmp_path / "root"


@pytest.fixture
def data(pare_bench):
    def call(*argv, code=0):
        got, out, err = pare_bench("data", *argv)
        assert got == code, err
        assert "Traceback" not in err
        return out, err

    return call


def error_lines(err):
    return [line for line in err.splitlines() if line.startswith(("error:", "hint:"))]


def status(data):
    (document,) = json.loads(data("status", "toy_files", "--format", "json")[0])["tasks"]
    return document


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_from_nothing_to_verified_files(root, data, server):
    before = status(data)
    assert (before["state"], before["tier"]) == ("missing", "none")
    assert not root.exists()  # looking changes nothing

    _, err = data("fetch", "toy_files")
    assert "2 files" in err
    assert err.index("a.csv: 6.0 kB, from") < err.index("[1/2]")  # sizes first
    assert (root / "toy_files" / "a.csv").read_bytes() == CONTENT
    assert (root / "toy_files" / "things" / "2.txt").read_bytes() == b"two"
    assert not (root / "toy_files" / "extra.csv").exists()

    after = status(data)
    assert (after["state"], after["tier"], after["folder"]) == ("present", "official", str(root / "toy_files"))
    assert [(file["path"], file["present"], file["size"], file["digest"]) for file in after["files"][:1]] == [("a.csv", True, 6000, "recorded")]
    assert [file["present"] for file in after["files"]] == [True, True, False]

    requests = len(server.log)
    assert "nothing to fetch" in data("fetch", "--suite", "toys")[1]
    assert len(server.log) == requests
    data("fetch", "toy_files", "--all")
    assert (root / "toy_files" / "extra.csv").read_bytes() == b"0\n"

    checks = json.loads(data("verify", "toy_files", "--format", "json")[0])
    assert [(check["name"], check["result"]) for check in checks] == [(f"toy_files/{n}", "as recorded") for n in ("a.csv", "b.tar", "extra.csv")]


def test_status_of_everything_lists_every_task(root, data):
    table = data("status")[0]
    rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines()[2:]]
    assert rows == list(Registry.from_environment().names("task"))
    assert "\x1b" not in table


def test_a_partial_download_is_partial(root, data):
    data("fetch", "toy_files")
    (root / "toy_files" / "a.csv").unlink()
    assert status(data)["state"] == "partial"
    assert data("status", "toy_files", "--format", "md")[0].splitlines()[2].startswith("| toy_files | partial | 1 of 3 |")


def test_the_mirror_comes_first(root, data, server):
    server.files |= {"/mirror/toy_files/a.csv": CONTENT, "/mirror/toy_files/b.tar": server.files["/b.tar"]}
    data("fetch", "toy_files", "--mirror", f"{server.address}/mirror")
    assert read_index(root)["toy_files/a.csv"].source == f"{server.address}/mirror/toy_files/a.csv"
    assert not server.gets("/a.csv")


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("403", 3, "/a.csv answers 403 Forbidden"),
        ("404", 3, "/a.csv answers 404 Not Found"),
        ("redirect to HTML", 4, "/a.csv answers with a web page instead of the file"),
        ("no ranges breaks off", 4, "/a.csv broke off after 3000 of 6000 bytes"),
        ("announces too much", 4, "/a.csv announces 7000 bytes and ends after 6000"),
        ("announces too little", 4, "/a.csv the file goes on after the 3000 bytes that the server announced"),
        ("hangs", 3, "/a.csv cannot be reached"),
        ("resets", 3, "/a.csv cannot be reached"),
    ],
)
def test_a_bad_server_gives_one_line_and_its_exit_code(root, data, server, behaviour, code, words):
    server.behaviour["/a.csv"] = behaviour
    _, err = data("fetch", "toy_files", "--timeout", "0.3", code=code)
    lines = error_lines(err)
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert words in lines[0]
    assert server.address in lines[0]
    # One bad file does not keep the others away, and is not taken for good.
    assert (root / "toy_files" / "things" / "1.txt").exists()
    assert not (root / "toy_files" / "a.csv").exists()
    assert status(data)["state"] == "partial"


def test_an_archive_that_escapes(root, data, server):
    server.files["/b.tar"] = archive_of({"things/1.txt": b"one", "../../escaped.txt": b"x"})
    _, err = data("fetch", "toy_files", code=4)
    lines = error_lines(err)
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert "leads out of the folder" in lines[0]
    assert not list(root.parent.rglob("escaped.txt"))
    assert not (root / "toy_files" / "things").exists()


def test_an_archive_put_there_by_hand_is_unpacked(root, data, server):
    for name in ("a.csv", "b.tar"):
        (root / "toy_files").mkdir(parents=True, exist_ok=True)
        (root / "toy_files" / name).write_bytes(server.files[f"/{name}"])
    data("fetch", "toy_files", "--offline", "--no-unpack")
    assert not (root / "toy_files" / "things").exists()
    assert "unpacked 'b.tar'" in data("fetch", "toy_files", "--offline")[1]
    assert (root / "toy_files" / "things" / "1.txt").read_bytes() == b"one"


@pytest.mark.parametrize("how", ["--offline", "PARE_BENCH_OFFLINE"])
def test_offline_opens_no_socket(root, data, server, monkeypatch, how):
    class NoSocket:
        def __init__(self, *args, **kwargs):
            raise AssertionError("a socket is opened")

    data("fetch", "toy_files")
    (root / "toy_files" / "a.csv").unlink()
    if how != "--offline":
        monkeypatch.setenv(how, "1")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", NoSocket)
        patch.setattr(socket, "create_connection", NoSocket)
        patch.setattr(socket, "getaddrinfo", NoSocket)
        _, err = data("fetch", "toy_files", *([how] if how.startswith("--") else []), code=3)
        assert "offline, and not there: toy_files/a.csv" in error_lines(err)[0]
        (root / "toy_files" / "a.csv").write_bytes(CONTENT)
        data("fetch", "toy_files", "--offline")
        for verb in (("status",), ("verify", "toy_files"), ("export", str(root.parent / "x.tar"), "--task", "toy_files")):
            data(*verb)


def test_large_downloads_are_asked_for_on_a_terminal(root, data, monkeypatch, server):
    from pare_bench.cli import data as module
    from pare_bench.cli import output

    monkeypatch.setattr(module, "ASK_ABOVE", 100)
    monkeypatch.setattr(output, "stderr_is_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    _, err = data("fetch", "toy_files", code=130)
    assert "fetch them?" in err
    assert not server.gets("/a.csv")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    data("fetch", "toy_files")
    assert server.gets("/a.csv")
    (root / "toy_files" / "a.csv").unlink()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    data("fetch", "toy_files", "--yes")


def test_dry_run_fetches_nothing(root, data, server):
    _, err = data("fetch", "toy_files", "--dry-run")
    assert "toy_files/a.csv: 6.0 kB" in err
    assert not server.gets("/a.csv")
    assert not root.exists()


def test_no_room(root, data, server, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    _, err = data("fetch", "toy_files", code=5)
    assert "has room for 10 bytes" in error_lines(err)[0]
    assert not server.gets("/a.csv")


@pytest.mark.parametrize("change", ["flip", "truncate", "remove", "page"])
def test_verify_names_the_changed_file(root, data, change):
    data("fetch", "toy_files")
    path = root / "toy_files" / "a.csv"
    before = path.stat()
    content = {"flip": b"7" + CONTENT[1:], "truncate": CONTENT[:100], "page": b"<html>denied</html>"}.get(change)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    out, err = data("verify", "toy_files", code=4)
    assert f"'{path}' " in error_lines(err)[0]
    assert len(error_lines(err)) == 2
    assert "as recorded" in out  # the archive is still good
    if change == "flip":
        data("verify", "toy_files", "--accept")
        data("verify", "toy_files")


def test_files_put_there_by_hand_are_recorded_by_verify(root, data):
    (root / "toy_files").mkdir(parents=True)
    (root / "toy_files" / "a.csv").write_bytes(CONTENT)
    (root / "extra.csv").write_bytes(b"0\n")  # the flat layout
    assert status(data)["files"][0]["digest"] == "unknown"
    out, _ = data("verify", "toy_files")
    assert out.count("recorded now") == 2
    assert set(read_index(root)) == {"toy_files/a.csv", "extra.csv"}
    assert status(data)["files"][0]["digest"] == "recorded"
    (root / "extra.csv").write_bytes(b"1\n")
    data("verify", "toy_files", code=4)


def test_to_another_machine(root, data, tmp_path, monkeypatch):
    data("fetch", "toy_files")
    here = files_in(root / "toy_files")
    first, second = tmp_path / "first.tar", tmp_path / "sub" / "second.tar"
    data("export", str(first), "--task", "toy_files")
    for path in (root / "toy_files").rglob("*"):
        os.utime(path, (0, 0))
    data("export", str(second), "--suite", "toys")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        names = archive.getnames()
        assert {(member.mtime, member.uid, member.uname) for member in archive.getmembers()} == {(0, 0, "")}
    assert names == ["index.json", "toy_files/a.csv", "toy_files/b.tar"]  # what the archive unpacks to is made again

    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "there"))
    data("import", str(first))
    assert files_in(tmp_path / "there" / "toy_files") == here
    assert status(data)["state"] == "present"
    data("verify", "toy_files")
    data("import", str(first))  # twice does no harm
    (tmp_path / "there" / "toy_files" / "a.csv").write_bytes(b"mine")
    _, err = data("import", str(first), code=2)
    assert "another content" in error_lines(err)[0]
    assert (tmp_path / "there" / "toy_files" / "a.csv").read_bytes() == b"mine"
    data("import", str(first), "--replace")
    assert files_in(tmp_path / "there" / "toy_files") == here


def test_unpacked_files_travel_without_their_archive(root, data, tmp_path, monkeypatch):
    data("fetch", "toy_files")
    (root / "toy_files" / "b.tar").unlink()
    (root / "toy_files" / "a.csv").rename(root / "a.csv")  # the flat layout
    data("export", str(tmp_path / "x.tar"), "--task", "toy_files")
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert archive.getnames() == ["index.json", "a.csv", "toy_files/things/1.txt", "toy_files/things/2.txt"]
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "there"))
    data("import", str(tmp_path / "x.tar"))
    assert status(data)["state"] == "present"


def test_every_task_is_present_and_travels(data, tmp_path, monkeypatch):
    """The small files that the loaders' tests write in the published layout, of every task that has them."""
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    written = [module.name for module in pkgutil.iter_modules(official_files.__path__)]
    for name in written:
        importlib.import_module(f"official_files.{name}").write(tmp_path / "here")
    assert set(Registry.from_environment().spec("suite", "nas360").tasks) <= set(written)
    for folder in ("here", "there"):
        monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / folder))
        if folder == "there":
            data("import", str(tmp_path / "x.tar"))
        states = {document["task"]: document["state"] for document in json.loads(data("status", "--format", "json")[0])["tasks"]}
        assert {name: states[name] for name in written} == dict.fromkeys(written, "present")
        if folder == "here":
            data("export", str(tmp_path / "x.tar"))
    assert {name: content for name, content in files_in(tmp_path / "there").items() if "/" in name} == files_in(tmp_path / "here")


def test_import_without_unpacking(root, data, tmp_path, monkeypatch):
    data("fetch", "toy_files")
    data("export", str(tmp_path / "x.tar"), "--task", "toy_files")
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "there"))
    data("import", str(tmp_path / "x.tar"), "--no-unpack")
    assert sorted(files_in(tmp_path / "there" / "toy_files")) == ["a.csv", "b.tar"]


def repacked(path, change):
    """Rewrite an exported tar file after ``change(members)``, a list of [header, content] pairs."""
    with tarfile.open(path) as archive:
        members = [[member, archive.extractfile(member).read()] for member in archive.getmembers()]
    members = change(members) or members
    with tarfile.open(path, "w") as archive:
        for header, content in members:
            if header.isreg():
                header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


def _renamed(members, name):
    old, members[1][0].name = members[1][0].name, name
    members[0][1] = members[0][1].replace(json.dumps(old).encode(), json.dumps(name).encode())


def _link(members):
    members[1][0].type, members[1][0].linkname = tarfile.SYMTYPE, "/etc/passwd"


CHANGES = {
    "changed": lambda members: members[1].__setitem__(1, b"7" + members[1][1][1:]),
    "shorter": lambda members: members[1].__setitem__(1, members[1][1][:-1]),
    "missing": lambda members: members[:-1],
    "one more": lambda members: [*members, [tarfile.TarInfo("toy_files/more"), b"x"]],
    "twice": lambda members: [*members, members[-1]],
    "no index": lambda members: members[1:],
    "index last": lambda members: [*members[1:], members[0]],
    "index is damaged": lambda members: members[0].__setitem__(1, b"{"),
    "leads out": lambda members: _renamed(members, "../escaped.csv"),
    "absolute": lambda members: _renamed(members, "/tmp/pare-bench-escaped.csv"),  # noqa: S108
    "index over index": lambda members: _renamed(members, "index.json"),
    "link": _link,
}


@pytest.mark.parametrize("name", [*CHANGES, "cut", "web page"])
def test_an_import_that_lies_puts_nothing_in_place(root, data, tmp_path, monkeypatch, name):
    data("fetch", "toy_files")
    path = tmp_path / "x.tar"
    data("export", str(path), "--task", "toy_files")
    if name == "cut":
        path.write_bytes(path.read_bytes()[:9000])
    elif name == "web page":
        path.write_bytes(b"<html>denied</html>")
    else:
        repacked(path, CHANGES[name])
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "there"))
    _, err = data("import", str(path), code=4)
    assert [line.partition(":")[0] for line in error_lines(err)] == ["error", "hint"]
    assert not list((tmp_path / "there").iterdir() if (tmp_path / "there").exists() else [])
    assert not list(tmp_path.rglob("*escaped*"))


def test_generate_fills_the_cache(data, tmp_path, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    _, err = data("generate", "satellite", "--preset", "smoke", "--seed", "3")
    (folder,) = (tmp_path / "cache" / "generated" / "satellite").glob("v*[0-9a-f]")
    assert "-s3-" in folder.name
    size = Registry.from_environment().component("task", "satellite").sizes["smoke"]
    assert len(np.load(folder / "train.inputs.npy")) == size.train
    assert f"satellite: {size.train} + {size.val} + {size.test} examples" in err
    assert "sha256" in err


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("fetch",), 2, "say which tasks"),
        (("fetch", "toy_flies"), 2, "did you mean 'toy_files'?"),
        (("fetch", "--suite", "nas361"), 2, "did you mean 'nas360'?"),
        (("status", "egc"), 2, "did you mean 'ecg'?"),
        (("generate", "--preset", "smoky"), 2, "did you mean 'smoke'?"),
        (("generate", "toy_files"), 3, "none of these tasks has generated data"),
        (("import", "nowhere.tar"), 3, "there is no file 'nowhere.tar'"),
        (("export", "x.tar", "--task", "toy_files"), 3, "there are no official files"),
    ],
)
def test_usage(root, data, argv, code, words):
    _, err = data(*argv, code=code)
    lines = error_lines(err)
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert words in lines[0]


def test_a_killed_process_is_resumed(root, data, server):
    """Not an exception but SIGKILL, in the middle of a file that the server sends slowly."""
    server.files["/a.csv"] = os.urandom(2_000_000)
    server.behaviour["/a.csv"] = "half, then stalls"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "pare_bench", "data", "fetch", "toy_files"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not (came := [path for path in (root / "partial").glob("*a.csv") if path.stat().st_size == 1_000_000]) and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert came
    server.behaviour.clear()
    assert "goes on after 1.0 MB" in data("fetch", "toy_files")[1]
    assert (root / "toy_files" / "a.csv").read_bytes() == server.files["/a.csv"]
    assert server.sent["/a.csv"] == 2_000_000


def test_the_verbs_do_not_import_torch(root):
    code = "import sys; from pare_bench.cli import main; assert main(['data', 'status']) == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
