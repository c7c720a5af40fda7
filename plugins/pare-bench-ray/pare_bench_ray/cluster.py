"""A Ray cluster: one of this machine that is started and ended, or one that is there; and how many runs it has room for."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from pare_bench.errors import EnvironmentFault

# Ray would tell its makers how it is used; nothing here opens a connection that nobody asked for. It is read when Ray is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

#: Seconds in which somebody must answer at an address.
_ANSWERS = 10.0
#: Ray logs once per cluster that it has a token, as it has by default.
_SPEAKS_OF_TOKENS = "ray._private.authentication.authentication_token_setup"
#: Bytes of shared memory of a cluster of our own: only configurations and records pass through it. Ray takes no less than 75 MB.
_STORE = 100 * 2**20


@contextmanager
def connected(address: str | None, cpus: int | None) -> Iterator[bool]:
    """Inside, Ray is connected to the cluster at ``address``, or to one of this machine with so many CPUs that ends with it.

    Yields whether the connection stays: whoever has called ``ray.init`` before, in a notebook for instance, stays connected to that.

    Raises:
        EnvironmentFault: nobody answers at the address, or no cluster can be started.
    """
    if ray.is_initialized():
        yield True
        return
    if address is not None:
        _check_that_somebody_answers(address)
    handler = signal.getsignal(signal.SIGTERM)
    logging.getLogger(_SPEAKS_OF_TOKENS).setLevel(logging.ERROR)
    where: dict[str, object] = {"address": address} if address else {"address": "local", "num_cpus": cpus, "object_store_memory": _STORE}
    if address is None:
        where["include_dashboard"] = False
    try:
        ray.init(**where, configure_logging=False, logging_level=logging.ERROR)
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        what = f"the Ray cluster at '{address}' cannot be used" if address else "no Ray cluster can be started on this machine"
        raise EnvironmentFault(f"{what}: {_first_line(error)}", hint=_hint(address)) from error
    finally:
        # Ray ends the process on SIGTERM, where a run would write its checkpoint.
        with suppress(ValueError, TypeError):
            signal.signal(signal.SIGTERM, handler)
    try:
        yield False
    finally:
        ray.shutdown()


def room(needs: Mapping[str, float]) -> int:
    """Return how many runs with these needs the nodes of the cluster can carry out at a time."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(min(math.floor(has.get(name, 0.0) / needed + 1e-9) for name, needed in needs.items() if needed) for has in alive)


def resources() -> str:
    """Return what the nodes of the cluster have, in words."""
    found = ray.cluster_resources()
    memory = found.get("memory", 0.0) / 2**30
    return (
        f"{found.get('CPU', 0):g} CPUs, {found.get('GPU', 0):g} GPUs, {memory:.1f} GB on {len([node for node in ray.nodes() if node['Alive']])} nodes"
    )


def _check_that_somebody_answers(address: str) -> None:
    """Open a connection to the address and close it: Ray itself tries for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise EnvironmentFault(f"executor.address '{address}' is no address", hint="-o executor.address=HOST:6379, as `ray start --head` says it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS).close()
    except (OSError, OverflowError) as error:
        raise EnvironmentFault(f"no Ray cluster answers at '{address}': {_first_line(error)}", hint=_hint(address)) from error


def _hint(address: str | None) -> str:
    if address is None:
        return "df -h /dev/shm /tmp; or without Ray: --executor processes"
    return "ray status --address " + ("HOST:6379" if address == "auto" else address) + "; for a cluster of this machine leave executor.address out"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
