"""Conversions that the tests run in the sandbox."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pare_bench.datasets import unpickle
from pare_bench.errors import IntegrityError


def pickled(sources: Sequence[Path]) -> dict[str, NDArray]:
    return {name: np.asarray(value) for name, value in unpickle.load(sources[0]).items()}


def object_npy(sources: Sequence[Path]) -> dict[str, NDArray]:
    return {str(index): np.asarray(value) for index, value in enumerate(unpickle.load_npy(sources[0]))}


def npz(sources: Sequence[Path]) -> dict[str, NDArray]:
    with np.load(sources[0], allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def noisy(sources: Sequence[Path]) -> dict[str, NDArray]:
    print("a library says something on stdout")
    return {"sizes": np.array([source.stat().st_size for source in sources])}


def text(sources: Sequence[Path]) -> dict[str, NDArray]:
    return {"words": np.array(["text"])}


def hungry(sources: Sequence[Path]) -> dict[str, NDArray]:
    return {"zeros": np.zeros(10 * 2**30, np.uint8)}


def sleepy(sources: Sequence[Path]) -> dict[str, NDArray]:
    time.sleep(60)
    return {}


def busy(sources: Sequence[Path]) -> dict[str, NDArray]:
    while True:
        pass


def crashing(sources: Sequence[Path]) -> dict[str, NDArray]:
    os.abort()


def own_error(sources: Sequence[Path]) -> dict[str, NDArray]:
    raise IntegrityError(f"'{sources[0]}' has 3 columns, 4 were expected", hint="look at it")


def lacking(sources: Sequence[Path]) -> dict[str, NDArray]:
    import a_package_that_nobody_has  # noqa: F401

    return {}


def environment(sources: Sequence[Path]) -> dict[str, NDArray]:
    return {"names": np.frombuffer("\n".join(sorted(os.environ)).encode(), np.uint8)}


def starting(sources: Sequence[Path]) -> dict[str, NDArray]:
    subprocess.run(["touch", f"{sources[0]}.canary"], check=True)
    return {}


def forking(sources: Sequence[Path]) -> dict[str, NDArray]:
    os.system(f"touch '{sources[0]}.canary'")  # noqa: S605
    return {}


def connecting(sources: Sequence[Path]) -> dict[str, NDArray]:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
    return {}
