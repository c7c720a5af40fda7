"""The command line: parse, call, map errors to exit codes."""

from __future__ import annotations

import errno
import re
import sys
import warnings
from collections.abc import Sequence

from pare_bench.errors import ExitCode, PareBenchError, UsageError, interrupts_shown, nearest
from pare_bench.training.launched import is_main_process, launched_processes

#: What the surroundings of a file refuse, wherever it is touched: rights, a disk that is full, read-only or broken.
_SURROUNDINGS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


#: What Typer says of a value that is none of the words that an option takes.
_CHOICE = re.compile(r"'(?:-\w' / ')?([\w\[\].-]+)': '(.*)' is not one of ('.*')")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``pare-bench`` with ``argv`` (default: the process's arguments) and return its exit code.

    Expected errors print one line and a hint on stderr; everything else is a bug and keeps its traceback.
    """
    import typer

    from pare_bench.cli import output
    from pare_bench.cli.app import build_app, plain_call
    from pare_bench.cli.completion import words_to_complete
    from pare_bench.cli.loading import told_of_torch

    output.prepare()
    # One line for a warning, too: where in the code it arose is of no use to who reads it.
    warnings.showwarning = lambda message, *_, **__: output.note(f"warning: {message}")
    try:
        with interrupts_shown(), told_of_torch():
            arguments = list(sys.argv[1:] if argv is None else argv)
            result: object
            plain = plain_call(arguments)
            if plain is not None:
                result = plain()
            else:
                # Of a command line that is being completed, too, only the verb's own module is imported.
                words = words_to_complete()
                app = build_app(arguments if words is None else words, completing=words is not None)
                result = app(args=arguments, prog_name="pare-bench", standalone_mode=False)
    except (PareBenchError, typer.TyperException, typer.Abort, KeyboardInterrupt, OSError) as error:
        return int(_told(error))
    if launched_processes() > 1:
        from pare_bench.training.distributed import finish

        finish()
    return int(result) if isinstance(result, int) else int(ExitCode.OK)


def _told(error: BaseException) -> ExitCode:
    """Say what went wrong, and return the exit code for it; what is a bug is raised again."""
    import typer

    from pare_bench.cli import output

    match error:
        case PareBenchError():
            # A wrong call is wrong in every process; one of them saying so is enough.
            if is_main_process() or not isinstance(error, UsageError):
                output.error(str(error), error.hint)
            return error.exit_code
        case typer.TyperException():
            return _told_of_words(error)
        case typer.Abort() | KeyboardInterrupt():
            output.note("interrupted")
            return ExitCode.INTERRUPTED
        case BrokenPipeError():
            # The reader has what it wanted (``| head``); without this Python complains again when it flushes at exit.
            sys.stderr.close()
            return ExitCode.OK
        case OSError(errno=number) if error.filename is not None and number in _SURROUNDINGS:
            output.error(f"'{error.filename}' cannot be used: {error.strerror}", f"ls -ld '{error.filename}'; df -h '{error.filename}'")
            return ExitCode.ENVIRONMENT
        case OSError(errno=errno.ENOSPC | errno.EBADF | errno.EIO):
            # Typer writes its help itself.
            output.give_up_stdout()
            output.error(f"stdout cannot be written: {error.strerror}", None)
            return ExitCode.ENVIRONMENT
    raise error


def _told_of_words(error: BaseException) -> ExitCode:
    """Say what Typer does not understand, with the nearest word where one is near."""
    from pare_bench.cli import output

    formatted = error.format_message() if hasattr(error, "format_message") else str(error)
    if type(error).__name__ == "NoArgsIsHelpError":
        # A group without a verb: what it has is what was asked for, as near as can be told.
        output.note(formatted)
        return ExitCode.USAGE
    message, close = _with_nearest(" ".join(formatted.split()))
    where = f"'{file}': " if (file := getattr(error, "config_file", None)) else ""
    output.error(where + message[:1].lower() + message[1:], close or _help_hint(getattr(error, "ctx", None)))
    return ExitCode.USAGE


def _with_nearest(message: str) -> tuple[str, str | None]:
    """Return the message of a value that is none of a few, and a hint with the nearest of them where one is near."""
    message = message.replace(": Value error, ", ": ")
    found = _CHOICE.search(message)
    if found is None:
        return message, None
    option, value, choices = found.groups()
    close = nearest(value, re.findall(r"'([^']*)'", choices))
    return message, f"did you mean {option} {close}?" if close and option.startswith("-") else f"did you mean {close}?" if close else None


def _help_hint(context: object) -> str:
    path = getattr(context, "command_path", None) or "pare-bench"
    return f"{path} --help"


def entry_point() -> None:
    """Console script: exit with the code of :func:`main`."""
    from pare_bench.cli.output import own_stdout

    own_stdout()
    code = main()
    if launched_processes() > 1:
        from pare_bench.cli.leaving import leave

        leave(code)
    sys.exit(code)
