"""A guard that children of a test carry in every Python process: sockets are written down, and those that lead anywhere are refused.

``guarded(folder)`` gives the environment of such a child, ``attempts(folder)`` what was tried in it and in the processes it started. It sees what
Python opens; what a library opens in C++ or Rust (gloo, Xet) it does not.
"""

from __future__ import annotations

import os
from pathlib import Path

#: Python imports a module of this name when it starts.
SITE = """
import os
import socket
import sys

LOG = os.environ["SOCKET_GUARD_LOG"]
LOOPBACK_ALLOWED = os.environ["SOCKET_GUARD_LOOPBACK"] == "1"
ASKED = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
USED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"}


def kind_of(host):
    text = host.decode() if isinstance(host, bytes) else str(host)
    own = (None, "", "localhost", "::1", "0.0.0.0", "::", socket.gethostname())
    return "loopback" if host in own or text in own or text.startswith("127.") else "outside"


def guard(event, arguments):
    if event in ASKED:
        where, kind = arguments[0], kind_of(arguments[0])
    elif event in USED:
        where = arguments[1]
        kind = "unix" if arguments[0].family == socket.AF_UNIX or where is None else kind_of(where[0]) if isinstance(where, tuple) else "kernel"
    else:
        return
    with open(LOG, "a") as log:
        log.write(f"{os.environ.get('SOCKET_GUARD_LABEL', '')}|{event}|{kind}|{where}\\n")
    if kind == "outside" or (kind == "loopback" and not LOOPBACK_ALLOWED):
        raise PermissionError(f"the guard refuses {event} to {where}")


sys.addaudithook(guard)
"""


def guarded(folder: Path, *, loopback: bool = False, **variables: str) -> dict[str, str]:
    """Return the environment of a child process that carries the guard and may otherwise ask what it likes."""
    (folder / "guard").mkdir(parents=True, exist_ok=True)
    (folder / "guard" / "sitecustomize.py").write_text(SITE)
    (folder / "sockets.log").touch()
    kept = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "PARE_BENCH_OFFLINE")}
    paths = (str(folder / "guard"), str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "baselines"), kept.get("PYTHONPATH", ""))
    own = {"SOCKET_GUARD_LOG": str(folder / "sockets.log"), "SOCKET_GUARD_LOOPBACK": str(int(loopback)), "HF_HOME": str(folder / "hub")}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **own, **variables}


def attempts(folder: Path, *kinds: str) -> list[str]:
    """Return what was tried, of the ``kinds`` (``unix``, ``kernel``, ``loopback``, ``outside``): ``label|event|kind|address``."""
    return [line for line in (folder / "sockets.log").read_text().splitlines() if line.split("|")[2] in kinds]
