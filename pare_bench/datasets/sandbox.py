"""Read a file nobody vouches for: in a process of its own that may use so much memory and time, starts nothing and opens no connection.

The parent writes one JSON job to the child's standard input and reads one JSON answer from its standard output. The limits are those of the
operating system (``RLIMIT_AS``, ``RLIMIT_CPU``), so they hold inside compiled code, too; where the system has none (Windows), the wall clock remains.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: What a conversion never does, by the names of the interpreter's audit events.
_FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.Popen", "pty.spawn", "socket.")
_START = "; ".join(
    (
        "import json, sys",
        "job = json.loads(sys.stdin.buffer.read())",
        "sys.path[:] = job['path']",
        "from pare_bench.datasets.sandbox import child",
        "child(job)",
    )
)
_OUT_OF_TIME = int(getattr(signal, "SIGXCPU", 24))
#: Variables that a child needs to find its libraries; nothing else is inherited (tokens, proxies, keys).
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL", "TMPDIR")


def convert_apart(converter: str, sources: Sequence[Path], output: Path, *, memory_mb: int, seconds: int) -> dict[str, str]:
    """Run ``module:function`` on ``sources`` in a limited process, which writes the arrays to ``output``.

    Returns:
        ``{}`` when all is well, else ``{"kind": ..., "message": ...}`` (and perhaps ``"hint"``), where kind is ``integrity`` (the content),
        ``missing``, or ``environment`` (a library that is not installed, a disk that is full).
    """
    job = {
        "path": [str(Path(entry).resolve()) for entry in sys.path],
        "converter": converter,
        "sources": [str(source.resolve()) for source in sources],
        "output": str(output.resolve()),
        "memory": memory_mb << 20,
        "seconds": seconds,
    }
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | threads
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own module
            [sys.executable, "-I", "-B", "-c", _START],
            input=json.dumps(job).encode(),
            capture_output=True,
            env=environment,
            cwd=output.parent,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"kind": "integrity", "message": f"reading it takes more than {seconds} s"}
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        answer = None
    if isinstance(answer, dict):
        return answer
    # A signal: the limits of time and memory, or a crash inside a library that could not cope with the file.
    if done.returncode == -_OUT_OF_TIME:
        return {"kind": "integrity", "message": f"reading it takes more than {seconds} s"}
    last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
    return {"kind": "integrity", "message": f"the process that reads it ended with code {done.returncode}{f': {last}' if last else ''}"}


def child(job: dict[str, Any]) -> None:
    """Do one job and print the answer; the entry point of the separate process."""
    _limit(job["memory"], job["seconds"])
    try:
        from pare_bench.datasets.arrays_file import write_arrays

        module, _, name = job["converter"].partition(":")
        function = getattr(importlib.import_module(module), name)
        sys.addaudithook(_refuse)
        with contextlib.redirect_stdout(sys.stderr):
            arrays = function([Path(source) for source in job["sources"]])
        write_arrays(Path(job["output"]), arrays)
        answer: dict[str, str] = {}
    except MemoryError:
        answer = {"kind": "integrity", "message": f"reading it takes more than {job['memory'] >> 20} MB of memory"}
    except BaseException as error:  # noqa: BLE001 - whatever the file did to us is an answer, not a traceback
        answer = _answer(error)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _answer(error: BaseException) -> dict[str, str]:
    from pare_bench.errors import DataMissingError, PareBenchError

    if isinstance(error, PareBenchError):
        kind = "missing" if isinstance(error, DataMissingError) else "integrity"
        return {"kind": kind, "message": str(error), "own": "yes"} | ({"hint": error.hint} if error.hint else {})
    if isinstance(error, ModuleNotFoundError):
        return {"kind": "environment", "message": f"reading it needs the package '{error.name}', which is not installed"}
    if isinstance(error, OSError) and error.errno in (28, 122, 27):  # no space, quota, file too large
        return {"kind": "environment", "message": f"the converted copy cannot be written: {error.strerror}"}
    text = " ".join(str(error).split())
    return {"kind": "integrity", "message": f"{type(error).__name__}: {text}" if not text or isinstance(error, KeyError) else text}


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:
        return
    # The soft limit of processor time sends a signal that says so; the hard one, a little later, kills whoever ignores it.
    limits = ((resource.RLIMIT_AS, memory, memory), (resource.RLIMIT_CPU, seconds, seconds + 5), (resource.RLIMIT_CORE, 0, 0))
    for name, soft, hard in limits:
        # A hard limit that is lower already is as good; macOS refuses RLIMIT_AS.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(name, (soft, hard))


def _refuse(event: str, args: tuple[Any, ...]) -> None:  # noqa: ARG001 - the signature of an audit hook
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a conversion may not do '{event}'")
