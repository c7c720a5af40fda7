"""Files of a model, by local folder or by its name on a hub: what is on this machine, and what a hub gives without keeping anyone waiting.

All that asks a hub goes through :func:`find` and :func:`find_all`; whoever loads a model is handed files and opens no connection itself. A hub that
gives no answer within :data:`ANSWER` seconds, or whose file does not come forward within :data:`PROGRESS` seconds, is one that cannot be
reached: what is on this machine is taken instead, and where nothing is, that is the error. A file that comes slowly is waited for.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, OfflineError, UsageError

Result = TypeVar("Result")

#: Seconds in which a hub must say whether it has a file; HF_HUB_ETAG_TIMEOUT changes it. With the start of Python and torch a command fails in ten.
ANSWER = 3.0
#: Seconds in which a download must come forward by :data:`STEP` bytes or to its end; HF_HUB_DOWNLOAD_TIMEOUT changes it.
PROGRESS = 10.0
#: The same for files in Xet storage, whose client counts large pieces (up to 64 MB) once they are whole.
XET_PROGRESS = 60.0
STEP = 16 * 1024
#: Seconds for which a hub that did not answer is not asked again: a model has several files.
_PAUSE = 60.0
_COMMIT = re.compile("[0-9a-f]{40}")


class _NoAnswerError(Exception):
    """Nothing came for too long, or what no hub says."""


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


@dataclass
class _Pulse:
    """Shared by a thread that waits for a server and the one that watches it."""

    last: float = field(default_factory=time.monotonic)
    stopped: bool = False

    def beat(self) -> None:
        if self.stopped:
            raise _NoAnswerError
        self.last = time.monotonic()


def find(model: str, names: Sequence[str], *, what: str, revision: str | None = None) -> Path:
    """Return the first of ``names`` that ``model`` has: a file of a local folder, or of the hub's cache on this machine, fetched if need be.

    ``what`` says in messages what is looked for, such as ``"configuration of backbone"``.

    Raises:
        DataMissingError: none of them is on this machine or to be had from the hub.
        OfflineError: none is on this machine, and no hub may be asked.
        UsageError: ``model`` is neither a folder nor a name that a hub can have.

    """
    found, absence = _look(model, names, what, revision, first=True)
    if found:
        return found[0]
    if is_folder(model):
        raise DataMissingError(f"no {what} '{model}': the folder has no {' or '.join(names)}", hint=f"hf download NAME --local-dir '{model}'")
    hint = f"where there is network run: hf download {model}; or give a local folder that holds {names[0]}"
    if absence is None:
        raise DataMissingError(f"no {what} '{model}' on this machine or the hub: it has no {' or '.join(names)}", hint=hint)
    raise (OfflineError if absence.offline else DataMissingError)(f"no {what} '{model}' on this machine, {absence.reason}", hint=hint)


def find_all(model: str, names: Sequence[str], *, what: str, revision: str | None = None) -> tuple[Path, ...]:
    """Return those of ``names`` that ``model`` has; none where the folder or the hub has none of them.

    Raises:
        DataMissingError: none of them is on this machine, and the hub cannot be reached or does not know the model.
        OfflineError: none is on this machine, and no hub may be asked.
        UsageError: ``model`` is neither a folder nor a name that a hub can have.

    """
    found, absence = _look(model, names, what, revision, first=False)
    if not found and absence is not None:
        hint = f"where there is network run: hf download {model}; or give a local folder"
        raise (OfflineError if absence.offline else DataMissingError)(f"no {what} '{model}' on this machine, {absence.reason}", hint=hint)
    return found


def is_folder(model: str) -> bool:
    """Return whether ``model`` is a folder of this machine."""
    try:
        return bool(model) and Path(model).is_dir()
    except OSError:  # a name too long for a file
        return False


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


def _look(model: str, names: Sequence[str], what: str, revision: str | None, *, first: bool) -> tuple[tuple[Path, ...], _Absence | None]:
    if not is_folder(model):
        _check_name(model, what)
    found, absence = [], None
    for name in names:
        path = Path(model) / name if is_folder(model) else _of_hub(model, name, revision)
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


def _of_hub(model: str, name: str, revision: str | None) -> Path | _Absence | None:
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
            patience = _ask(model, name, revision)
            return Path(_watched(lambda pulse: hf_hub_download(model, name, revision=revision, tqdm_class=_bar(pulse)), patience))
        except RemoteEntryNotFoundError:
            return None
        except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError):
            at = "" if revision is None else f" at revision '{revision}'"
            return cached or _Absence(f"and hub '{constants.ENDPOINT}' gives none{at}: the name is mistyped, or the model private or gated")
        except (AttributeError, ImportError, NameError, TypeError):
            raise  # a mistake in a program, no fact about a hub
        # The hub's client raises its own and its transport's errors, of many types, for what is one fact here: no file.
        except Exception as error:  # noqa: BLE001
            hub.reason, hub.until = _one_line(error), time.monotonic() + _PAUSE
            if cached is not None:
                warnings.warn(f"hub '{constants.ENDPOINT}' cannot be reached ({hub.reason}): its files on this machine are taken", stacklevel=2)
    return cached or _Absence(f"and hub '{constants.ENDPOINT}' cannot be reached: {hub.reason}")


def _ask(model: str, name: str, revision: str | None) -> float:
    """Ask the hub for a file without fetching it, and return for how many seconds its download may stand still.

    Without this question the client would try again for minutes.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    seconds = _seconds("HF_HUB_ETAG_TIMEOUT", ANSWER)
    # The transport's own limit is for what is left behind in the thread.
    answer = _watched(lambda _: get_hf_file_metadata(hf_hub_url(model, name, revision=revision), timeout=2 * seconds), seconds)
    if answer.commit_hash is None or answer.etag is None:
        raise _NoAnswerError("what answers is no hub")
    through_xet = answer.xet_file_data is not None and not constants.HF_HUB_DISABLE_XET
    return _seconds("HF_HUB_DOWNLOAD_TIMEOUT", XET_PROGRESS if through_xet else PROGRESS)


def _seconds(variable: str, usual: float) -> float:
    try:
        return max(float(os.environ[variable]), 0.1)
    except (KeyError, ValueError):
        return usual


def _watched(call: Callable[[_Pulse], Result], patience: float) -> Result:
    """Return ``call(pulse)``, made in a thread that is given up when its pulse has not beaten for ``patience`` seconds.

    A thread and not a timeout of the transport: that one begins anew with every byte, and does not count the time in which a name is looked up.

    Raises:
        _NoAnswerError: it was given up.

    """
    from huggingface_hub import close_session

    pulse = _Pulse()
    results: list[Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call(pulse))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    with _quiet_client():
        thread.start()
        while thread.is_alive():
            thread.join(0.05)
            if time.monotonic() - pulse.last > patience and thread.is_alive():
                pulse.stopped = True
                close_session()  # what still waits for the server wakes up
                thread.join(0.5)
                raise _NoAnswerError(f"no answer for {patience:.3g} s")
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Let the hub's client count its downloads in small steps, ask for nothing but files, and say nothing: that becomes one error.

    With every first question a day it would also fetch a list of programs by which it tells the hub what it is called from.
    """
    from huggingface_hub import constants

    logger = logging.getLogger("huggingface_hub")
    before = logger.level, constants.DOWNLOAD_CHUNK_SIZE, constants.HF_HUB_DISABLE_TELEMETRY
    logger.setLevel(logging.CRITICAL)
    constants.DOWNLOAD_CHUNK_SIZE, constants.HF_HUB_DISABLE_TELEMETRY = STEP, True
    try:
        yield
    finally:
        logger.setLevel(before[0])
        constants.DOWNLOAD_CHUNK_SIZE, constants.HF_HUB_DISABLE_TELEMETRY = before[1:]


def _bar(pulse: _Pulse) -> Any:
    """Return the class of a progress bar whose every step is a beat."""
    from huggingface_hub.utils import tqdm

    class Watched(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            pulse.beat()
            super().__init__(*arguments, **options)

        def update(self, n: float | None = 1) -> Any:
            if n:
                pulse.beat()
            return super().update(n)

    return Watched


def _one_line(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"it answers {response.status_code}"
    return " ".join(str(error).split())[:200] or type(error).__name__
