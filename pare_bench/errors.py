"""Errors a user can act on, and the exit code each one leads to.

Messages are lower case, quote the offending value, say what is wrong and where; ``hint`` holds a command or an edit that can be pasted.
Anything that is not a :class:`PareBenchError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of ``pare-bench`` (documented in docs/cli.md)."""

    OK = 0
    SOME_RUNS_FAILED = 1
    USAGE = 2
    DATA_MISSING = 3
    INTEGRITY = 4
    ENVIRONMENT = 5
    GATE_NOT_MET = 6
    INTERRUPTED = 130
    TERMINATED = 143


class PareBenchError(Exception):
    """Base of every expected error; one line for the user, no traceback."""

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PareBenchError):
    """A name, option or value that does not fit: the user can correct the call."""


class UnknownNameError(UsageError):
    """A name that no plugin registers."""


class PluginError(PareBenchError):
    """A plugin that contradicts another one or the hook specification."""


class DataMissingError(PareBenchError):
    """Data that is needed and is not on this machine."""

    exit_code = ExitCode.DATA_MISSING


class OfflineError(DataMissingError):
    """Data that a hub may have, which was not asked: no connection was to be opened."""


class IntegrityError(PareBenchError):
    """A file whose content is not what its digest, schema or format promises."""

    exit_code = ExitCode.INTEGRITY


class EnvironmentFault(PareBenchError):  # noqa: N818 - EnvironmentError is a built-in alias of OSError
    """A device, disk or permission that the run needs and does not have."""

    exit_code = ExitCode.ENVIRONMENT


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end (SIGTERM, a cluster's first word): as Ctrl-C, with another exit code."""


class RunFault(PareBenchError):  # noqa: N818 - as EnvironmentFault
    """A run that cannot be scored, for a reason that the method's author can act on; it becomes a failed record."""

    exit_code = ExitCode.SOME_RUNS_FAILED


class TrainingDivergedError(RunFault):
    """Loss or predictions became NaN or infinite."""


def plain_text(text: str) -> str:
    """Return ``text`` with what no UTF-8 can hold (bytes of a name in another encoding) written out as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the registered name closest to ``name``, or None when nothing is close."""
    import difflib  # only who has mistyped a name waits for it

    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown_name(kind: str, name: str, names: Iterable[str], *, hint: str | None = None) -> UnknownNameError:
    """Build the error for an unknown ``name`` of a ``kind``: nearest name first, then the first twenty known ones."""
    known = sorted(names)
    close = nearest(name, known)
    suggestion = f"; did you mean '{close}'?" if close else ""
    listing = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return UnknownNameError(f"unknown {kind} '{name}'{suggestion} known: {listing or 'none'}", hint=hint)


def check_tasks(tasks: Iterable[str], suite: str, known: Sequence[str]) -> None:
    """Check that all ``tasks`` are among those of a suite, ``known``.

    Raises:
        UsageError: one is not; the message has the nearest name.
    """
    for task in tasks:
        if task not in known:
            close = nearest(task, known)
            suggestion = f"; did you mean '{close}'?" if close else ""
            raise UsageError(f"suite '{suite}' has no task '{task}'{suggestion}", hint=f"its tasks: {', '.join(known)}")


@contextmanager
def interrupts_shown() -> Iterator[None]:
    """Turn an error that came up while a KeyboardInterrupt was handled back into the interrupt.

    joblib, for one, raises UnboundLocalError when Ctrl-C comes while it starts its workers.
    """
    try:
        yield
    except Exception as error:
        seen: BaseException | None = error
        while seen is not None and not isinstance(seen, KeyboardInterrupt):
            seen = seen.__cause__ or seen.__context__
        if seen is None:
            raise
        raise KeyboardInterrupt from error
