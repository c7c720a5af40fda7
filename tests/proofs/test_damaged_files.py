"""Every kind of file that is written, damaged in every way: no crash, no wrong result, the file named, and what a clean run gives.

:data:`KINDS` is the table. A test lists every file that a few commands leave below ``--out``, the cache and the data folder, and fails where one is
of no kind: whoever adds a file adds a row, and with it says what happens when the file is damaged.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from proof_tools import TINY, count, epochs

from pare_bench.cli import main
from pare_bench.digests import claims
from pare_bench.digests import files as file_digests
from pare_bench.training.checkpoint import CheckpointFile

PAGE = b"<!DOCTYPE html><html><body>Quota exceeded</body></html>"
RUN = ("run", "--task", "satellite", "--predictions", "full", *TINY)
OFFICIAL = ("run", "--method", "constant", "--task", "cifar100", "--preset", "smoke", "--tier", "official")
LONGER = (*RUN[:5], *epochs(3))


def flip(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content))
    return content[:position] + bytes([content[position] ^ 1 << rng.randrange(8)]) + content[position + 1 :]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped bit": flip,
    # Zeros at the end are what a tar file is filled up with: a file that has lost some of them alone has lost nothing.
    "truncated": lambda content, rng: content[: rng.randrange(1, max(2, len(content.rstrip(b"\0"))))],
    "emptied": lambda content, rng: b"",
    "web page": lambda content, rng: PAGE,
}


@dataclass(frozen=True)
class Kind:
    """Files of one kind. ``commands`` read them in a copy of everything, ``{base}``.

    ``then`` says what comes of it: ``mended`` (exit code 0, what is damaged is made again), ``refused`` (exit code 4, nothing is done), ``stale``
    (exit code 6) or ``unread`` (exit code 0; no command reads the file). ``named`` is what names it in a message: the file, the folder of its parts,
    or nothing. Those files are damaged that have the text ``chosen`` in them. Whatever was damaged, no record has another score than the clean ones.
    """

    name: str
    pattern: str
    commands: tuple[tuple[str, ...], ...]
    then: str
    named: str = "file"
    chosen: bytes = b""


def to(out: str, *words: str) -> tuple[str, ...]:
    return (*words, "--out", f"{{base}}/{out}")


TOKENS = ("--method", "pare", "-o", "source=conll2003_features", "-o", "source.path={base}/tokens.safetensors")
METHOD = ("--method", "full_finetune", "--seeds", "0-1")
SERVED = to("out", *RUN, *METHOD)
ANEW = to("again", *RUN, *METHOD)
KINDS = (
    Kind("record", r"out/records/nas360/satellite/full_finetune/\w{16}\.json", (SERVED,), "mended"),
    Kind("record of another run", r"out/records/nas360/\w+/constant/\w{16}\.json", (to("out", "leaderboard", "show"),), "refused"),
    Kind("predictions", r"out/predictions/\w{16}\.npz", (to("out", "rescore", "--suite", "nas360"),), "refused"),
    Kind("leaderboard", r"out/leaderboard\.json", (to("out", "leaderboard", "build", "--check"),), "stale"),
    Kind("checkpoint", r"out/checkpoints/\w{16}/train\.safetensors", (to("out", *LONGER, *METHOD[:2]),), "mended"),
    Kind("mark of a run", r"out/running/\w{16}\.json", (to("out", "status"), to("out", *LONGER, *METHOD[:2])), "unread", named=""),
    Kind("page, export", r"out/(site|exports)/.*", (), "unread", named=""),
    Kind("set aside", r"out/damaged/.*", (SERVED,), "unread", named=""),
    Kind("lock", r".*\.lock", (SERVED, ANEW), "unread", named=""),
    Kind("picture", r"[\w-]+\.png", (), "unread", named=""),
    Kind("generated array", r"cache/generated/satellite/[^/]+/[\w.]+\.npy", (ANEW,), "mended", named="folder"),
    Kind("generated manifest", r"cache/generated/satellite/[^/]+/manifest\.json", (ANEW,), "mended", named="folder"),
    Kind("converted arrays", r"cache/converted/cifar100/[^/]+/arrays\.safetensors", (to("again", *OFFICIAL),), "mended", named="folder"),
    Kind("converted manifest", r"cache/converted/cifar100/[^/]+/manifest\.json", (to("again", *OFFICIAL),), "mended", named="folder"),
    Kind("memory", r"cache/(plans|sources|bodies)\.json", (SERVED, to("out", *OFFICIAL)), "mended"),
    Kind("remembered digest", r"cache/digests/\w+\.json", (to("again", *OFFICIAL),), "mended", chosen=b"cifar-100-python"),
    Kind("data index", r"data/index\.json", (to("again", *OFFICIAL),), "refused"),
    Kind("submission", r"submission\.zip", (("leaderboard", "verify", "{base}/submission.zip"),), "refused"),
    Kind("exported data", r"data\.tar", (("data", "import", "{base}/data.tar"),), "refused"),
    Kind("source tokens", r"tokens\.safetensors", (to("again", *RUN, *TOKENS),), "refused"),
)
#: What was there before: published files are damaged in tests/integration/test_hostile_files.py.
GIVEN = r"data/(cifar100|conll2003)/.*"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder in which a few commands have written whatever they write; the last run was interrupted."""
    folder = tmp_path_factory.mktemp("damaged") / "base"
    with pytest.MonkeyPatch.context() as patch:
        at(folder, patch)
        for name in ("cifar100", "conll2003"):
            import_module(f"official_files.{name}").write(folder / "data")
        for words in (
            SERVED,
            to("out", *RUN, "--method", "constant"),
            to("out", *OFFICIAL),
            ("data", "build-source", "--out", "{base}/tokens.safetensors"),
            ("data", "export", "{base}/data.tar", "--task", "cifar100"),
            ("data", "import", "{base}/data.tar"),
            to("out", "leaderboard", "bundle", "{base}/submission.zip"),
            *(to("out", "leaderboard", "export", name) for name in ("csv", "hf", "eee")),
            to("out", "leaderboard", "site", "--no-pictures"),
            ("inspect", "satellite", "--to", "{base}/picture.png"),
        ):
            assert call(folder, words) == 0, words
        (folder / "out" / "damaged").mkdir()
        (folder / "out" / "damaged" / "record.json.1").write_text("{ not a record")
        save = CheckpointFile.save

        def interrupt(file, state):
            save(file, state)
            raise KeyboardInterrupt

        patch.setattr(CheckpointFile, "save", interrupt)
        assert call(folder, to("out", *LONGER, *METHOD[:2])) == 130
    return folder


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    """A copy of that folder which stays as it is."""
    return shutil.copytree(base, tmp_path_factory.mktemp("whole") / "base")


@pytest.fixture(scope="module")
def clean(whole, tmp_path_factory):
    """What every run gives that nobody has disturbed: scores and digests of predictions by run id."""
    folder = shutil.copytree(whole, tmp_path_factory.mktemp("clean") / "base")
    with pytest.MonkeyPatch.context() as patch:
        at(folder, patch)
        assert call(folder, to("out", *LONGER, *METHOD[:2])) == 0
    return results(folder / "out")


def at(folder: Path, patch: Any) -> None:
    patch.setenv("PARE_BENCH_CACHE", str(folder / "cache"))
    patch.setenv("PARE_BENCH_DATA", str(folder / "data"))
    patch.setenv("PARE_BENCH_CHECKPOINT_SECONDS", "0")
    # The small files that stand for large ones have their digests remembered, too.
    patch.setattr(file_digests, "SMALL", 50_000)
    # A flipped bit may make a mark that of another host, whose process is waited for as long as its heart may stand still.
    patch.setattr(claims, "STALE", 1.0)


def call(folder: Path, words: tuple[str, ...]) -> int:
    return main([word.replace("{base}", str(folder)) for word in words])


def results(out: Path) -> dict[str, Any]:
    found = {}
    for path in out.glob("records/*/*/*/*.json"):
        try:
            document = json.loads(path.read_text())
            # A run that the damage has kept from beginning is a failed record: it has no score.
            if document["status"] != "failed":
                found[document["run_id"]] = (document["metrics"], document["floor"], document["predictions_sha256"])
        except (ValueError, KeyError):
            continue
    return found


def files_of(folder: Path, kind: Kind) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return [name for name in names if re.fullmatch(kind.pattern, name)]


def test_every_file_is_of_a_kind(whole):
    """A new kind of file needs a row in KINDS."""
    names = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()}
    names -= {name for name in names if re.fullmatch(GIVEN, name)}
    unknown = {name for name in names if not any(re.fullmatch(kind.pattern, name) for kind in KINDS)}
    assert not unknown
    for kind in KINDS:
        assert files_of(whole, kind), f"no command has written a {kind.name}"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_damaged_file_is_named_and_never_a_wrong_result(base, whole, clean, monkeypatch, capsys, kind, damage):
    rng = random.Random(f"{kind.name} {damage}")
    warnings.simplefilter("always")  # each try is a process of its own
    tries = count(1, 25) if damage in ("flipped bit", "truncated") else 1
    for number in range(tries):
        # In the same place: some files are known by the paths of others.
        shutil.rmtree(base)
        folder = shutil.copytree(whole, base)
        at(folder, monkeypatch)
        victim = folder / rng.choice([name for name in files_of(folder, kind) if kind.chosen in (folder / name).read_bytes()])
        before = victim.read_bytes()
        if not before:
            continue
        victim.write_bytes(DAMAGES[damage](before, rng))
        capsys.readouterr()
        codes, err = [], ""
        for words in kind.commands:
            codes.append(call(folder, words))
            err += capsys.readouterr().err
        where = f"{victim.relative_to(folder)} try {number}: codes {codes}\n{err}"
        assert "Traceback" not in err, where
        expected = {"mended": {0}, "unread": {0}, "refused": {4}, "stale": {6}}[kind.then]
        assert set(codes) <= expected, where
        name = {"file": str(victim), "folder": str(victim.parent), "": ""}[kind.named]
        assert name in err, where
        for out in ("out", "again"):
            for run_id, found in results(folder / out).items():
                if kind.then == "mended" or folder / out / "records" not in victim.parents:
                    assert clean.get(run_id) == found, where
        if kind.then == "mended":
            assert not kind.commands or call(folder, kind.commands[-1]) == 0
            shown = capsys.readouterr().err
            assert "damaged" not in shown.replace(str(folder), ""), shown
