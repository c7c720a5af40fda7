"""Start a script as several processes that find each other, as torchrun does, without its start-up time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(count: int, *argv: str | Path, **environment: str) -> list[subprocess.Popen[str]]:
    """Start ``python *argv`` ``count`` times."""
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"OMP_NUM_THREADS": "1", "PARE_BENCH_TIMEOUT": "120", **environment}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, argv)],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def run(count: int, *argv: str | Path, timeout: float = 300, **environment: str) -> list[tuple[int, str, str]]:
    """Return (exit code, stdout, stderr) of each process."""
    processes = start(count, *argv, **environment)
    try:
        texts = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]
