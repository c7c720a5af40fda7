"""Files of a model, by short name, local folder or name on a hub: what is on this machine, and what a hub gives without keeping anyone waiting.

All that asks a hub goes through :func:`find` and :func:`find_all`; whoever loads a model is handed files and opens no connection itself. A hub that
gives no answer within :data:`ANSWER` seconds, or whose file does not come forward within :data:`PROGRESS` seconds, is one that cannot be
reached: what is on this machine is taken instead, and where nothing is, that is the error. A file that comes slowly is waited for. For a short name
(:mod:`pare_bench.builtin.published_models`) no hub is asked here: its files were fetched before, and are compared with what is pinned of them.
"""

from __future__ import annotations

import errno
import os
import re
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pare_bench.builtin.hub_watch import NoAnswerError, told, watched
from pare_bench.builtin.published_models import MODELS, pinned_files
from pare_bench.contracts.models import Progress
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, OfflineError, UsageError

#: Seconds in which a hub must say whether it has a file; HF_HUB_ETAG_TIMEOUT changes it. With the start of Python and torch a command fails in ten.
ANSWER = 3.0
#: Seconds in which a download must come forward by 16 KiB or to its end; HF_HUB_DOWNLOAD_TIMEOUT changes it.
PROGRESS = 10.0
#: The same for files in Xet storage, whose client counts large pieces (up to 64 MB) once they are whole.
XET_PROGRESS = 60.0
#: Seconds for which a hub that did not answer is not asked again: a model has several files.
_PAUSE = 60.0
_COMMIT = re.compile("[0-9a-f]{40}")
#: What an operating system says where no file can be written.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


@dataclass
class _Hub:
    """What this process knows of a hub: when and why it last could not be reached."""

    reason: str = ""
    until: float = 0.0


_HUBS: dict[str, _Hub] = {}


@dataclass(frozen=True)
class _Absence:
    """Why a file is not to be had: said after ``on this machine``."""

    reason: str
    offline: bool = False


def find(
    model: str, names: Sequence[str], *, what: str, revision: str | None = None, size: int | None = None, progress: Progress | None = None
) -> Path:
    """Return the first of ``names`` that ``model`` has: a file of a folder, or of the hub's cache on this machine, fetched if need be.

    ``what`` says in messages what is looked for, such as ``"configuration of backbone"``. A hub that announces a file of other than ``size`` bytes is
    not asked for it; ``progress`` is told how a download comes forward.

    Raises:
        DataMissingError: none of them is on this machine or to be had from the hub.
        EnvironmentFault: the disk with the hub's cache is full.
        IntegrityError: a file of a model with a short name is not the pinned one, or a file of a hub has another size.
        OfflineError: none is on this machine, and no hub may be asked.
        UsageError: ``model`` is neither a folder nor a name that a hub can have, or its files are pinned and another revision of them is wanted.

    """
    found, absence = _look(model, names, what, revision, _Download(size, progress), first=True)
    if found:
        return found[0]
    if (folder := folder_of(model)) is not None:
        raise DataMissingError(f"no {what} '{model}': the folder has no {' or '.join(names)}", hint=f"hf download NAME --local-dir '{folder}'")
    hint = f"where there is network run: hf download {model}; or give a local folder that holds {names[0]}"
    if absence is None:
        raise DataMissingError(f"no {what} '{model}' on this machine or the hub: it has no {' or '.join(names)}", hint=hint)
    raise (OfflineError if absence.offline else DataMissingError)(f"no {what} '{model}' on this machine, {absence.reason}", hint=hint)


def find_all(model: str, names: Sequence[str], *, what: str, revision: str | None = None) -> tuple[Path, ...]:
    """Return those of ``names`` that ``model`` has; none where the folder or the hub has none of them.

    Raises:
        DataMissingError: none of them is on this machine, and the hub cannot be reached or does not know the model.
        IntegrityError: a file of a model with a short name is not the pinned one.
        OfflineError: none is on this machine, and no hub may be asked.
        UsageError: ``model`` is neither a folder nor a name that a hub can have, or its files are pinned and another revision of them is wanted.

    """
    found, absence = _look(model, names, what, revision, _Download(), first=False)
    if not found and absence is not None:
        hint = f"where there is network run: hf download {model}; or give a local folder"
        raise (OfflineError if absence.offline else DataMissingError)(f"no {what} '{model}' on this machine, {absence.reason}", hint=hint)
    return found


def folder_of(model: str) -> Path | None:
    """Return the folder of this machine that ``model`` is, or that the files of its short name were fetched to; None where there is none."""
    folder = MODELS[model].folder if model in MODELS else Path(model)
    try:
        return folder if model and folder.is_dir() else None
    except OSError:  # a name too long for a file
        return None


def is_folder(model: str) -> bool:
    """Return whether the files of ``model`` lie in a folder of this machine."""
    return folder_of(model) is not None


def check_content(path: Path, *, largest: int | None = None) -> None:
    """Check that a file is not what often lies where a file of a model should be: nothing, a Git LFS pointer, a web page, a pickle.

    Raises:
        EnvironmentFault: it cannot be read.
        IntegrityError: it is one of these, or has more than ``largest`` bytes.

    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        raise EnvironmentFault(f"'{path}' cannot be read: {error.strerror}", hint=f"ls -l '{path}'") from error
    hint, found = f"fetch {path.name} again", ""
    if size == 0:
        found = "is empty"
    elif largest is not None and size > largest:
        found = f"has {size} bytes, and more than {largest} is no {path.name}"
    elif start.startswith(b"version https://git-lfs"):
        found, hint = "is a Git LFS pointer, not the file itself", "run in its folder: git lfs pull"
    elif start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        found = "is a web page"
    elif start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")) and start[4:8] != bytes(4):
        # The first eight bytes of safetensors are the length of its header, which is below 100 MB.
        found, hint = "is a pickle, which is not opened", "save the model anew as safetensors: save_pretrained(FOLDER)"
    if found:
        raise IntegrityError(f"'{path}' {found}", hint=hint)


def no_hub_asked() -> bool:
    """Return whether no hub may be asked: ``HF_HUB_OFFLINE`` or ``PARE_BENCH_OFFLINE`` is set."""
    from huggingface_hub import constants

    wanted = [os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "PARE_BENCH_OFFLINE")]
    return bool(constants.HF_HUB_OFFLINE) or any(value not in ("", "0") for value in wanted)


@dataclass(frozen=True)
class _Download:
    """How many bytes a file has, where that is known, and who is told how its download comes forward."""

    size: int | None = None
    progress: Progress | None = None


def _look(
    model: str, names: Sequence[str], what: str, revision: str | None, download: _Download, *, first: bool
) -> tuple[tuple[Path, ...], _Absence | None]:
    if model in MODELS:
        return pinned_files(MODELS[model], names, what, revision)[: 1 if first else None], None
    folder = folder_of(model)
    if folder is None:
        _check_name(model, what)
    found, absence = [], None
    for name in names:
        path = folder / name if folder is not None else _of_hub(model, name, revision, download)
        if isinstance(path, _Absence):
            absence = path
        elif path is not None and path.is_file():
            found.append(path)
            if first:
                break
    return tuple(found), absence


def _check_name(model: str, what: str) -> None:
    """Refuse what no hub can have.

    Raises:
        DataMissingError: it is a path at which there is no folder.
        UsageError: it is no name either.

    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model:
        raise DataMissingError(f"no {what} '{model}': there is no such folder", hint="give the path of a folder that holds the model's files")
    try:
        validate_repo_id(model)
    except HFValidationError as error:
        hint = "give a folder or a name such as FacebookAI/roberta-base"
        raise UsageError(f"no {what} '{model}': it is neither a folder nor a name that a hub can have", hint=hint) from error


def _of_hub(model: str, name: str, revision: str | None, download: _Download) -> Path | _Absence | None:
    """Return a file of a hub, None where the hub says that the model has none of that name."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    known = try_to_load_from_cache(model, name, revision=revision)
    cached = Path(known) if isinstance(known, str) else None
    if cached is not None and revision is not None and _COMMIT.fullmatch(revision):
        return cached  # a commit does not change
    if no_hub_asked():
        return cached or _Absence("and no hub is asked (HF_HUB_OFFLINE or PARE_BENCH_OFFLINE)", offline=True)
    hub = _HUBS.setdefault(constants.ENDPOINT, _Hub())
    if time.monotonic() >= hub.until:
        try:
            patience = _ask(model, name, revision, download.size)
            with told(download.progress, name, download.size) as bar:
                return Path(watched(lambda pulse: hf_hub_download(model, name, revision=revision, tqdm_class=bar(pulse)), patience))
        except RemoteEntryNotFoundError:
            return None
        except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError):
            at = "" if revision is None else f" at revision '{revision}'"
            return cached or _Absence(f"and hub '{constants.ENDPOINT}' gives none{at}: the name is mistyped, or the model private or gated")
        except (AttributeError, ImportError, NameError, TypeError, IntegrityError):
            raise  # a mistake in a program, no fact about a hub; or another file than the one that is wanted
        # The hub's client raises its own and its transport's errors, of many types, for what is one fact here: no file.
        except Exception as error:  # noqa: BLE001
            _check_disk(error)
            hub.reason, hub.until = _one_line(error), time.monotonic() + _PAUSE
            if cached is not None:
                warnings.warn(f"hub '{constants.ENDPOINT}' cannot be reached ({hub.reason}): its files on this machine are taken", stacklevel=2)
    return cached or _Absence(f"and hub '{constants.ENDPOINT}' cannot be reached: {hub.reason}")


def _check_disk(error: Exception) -> None:
    """Tell a disk that takes no file from a hub that has none."""
    from huggingface_hub import constants

    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        message = f"'{constants.HF_HUB_CACHE}' cannot be written: {error.strerror or error}"
        raise EnvironmentFault(message, hint="set HF_HOME to a folder on a larger disk") from error


def _ask(model: str, name: str, revision: str | None, size: int | None) -> float:
    """Ask the hub for a file without fetching it, and return for how many seconds its download may stand still.

    Without this question the client would try again for minutes.

    Raises:
        IntegrityError: the hub announces another size than ``size``.

    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    seconds = _seconds("HF_HUB_ETAG_TIMEOUT", ANSWER)
    # The transport's own limit is for what is left behind in the thread.
    answer = watched(lambda _: get_hf_file_metadata(hf_hub_url(model, name, revision=revision), timeout=2 * seconds), seconds)
    if answer.commit_hash is None or answer.etag is None:
        raise NoAnswerError("what answers is no hub")
    if size is not None and answer.size not in (None, size):
        message = f"hub '{constants.ENDPOINT}' announces {answer.size} bytes for {name} of '{model}', published are {size}"
        raise IntegrityError(message, hint="unset HF_ENDPOINT, or set it to another hub")
    through_xet = answer.xet_file_data is not None and not constants.HF_HUB_DISABLE_XET
    return _seconds("HF_HUB_DOWNLOAD_TIMEOUT", XET_PROGRESS if through_xet else PROGRESS)


def _seconds(variable: str, usual: float) -> float:
    try:
        return max(float(os.environ[variable]), 0.1)
    except (KeyError, ValueError):
        return usual


def _one_line(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"it answers {response.status_code}"
    return " ".join(str(error).split())[:200] or type(error).__name__
