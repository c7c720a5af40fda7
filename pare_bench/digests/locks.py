"""One process at a time, on network file systems that know no ``flock`` too."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from pare_bench.digests.claims import Claims

#: What ``flock`` says where the file system has none: NFS without its lock daemon, FUSE, some parallel file systems.
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
#: Seconds between two tries.
_POLL = 0.05


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that the file at ``path`` stands for; wait for it as long as it takes.

    Where the file system has no ``flock``, the lock is a claim (:mod:`pare_bench.digests.claims`) on ``<path>.held``: that of a killed process is
    taken over, at once on the same machine, after two minutes on another one.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if _has_flock(path):
        with FileLock(path):
            yield
        return
    claims, held = Claims(), path.with_name(f"{path.name}.held")
    while claims.claim(held) is not None:
        time.sleep(_POLL)
    try:
        yield
    finally:
        claims.release(held)


def _has_flock(path: Path) -> bool:
    if os.name != "posix":
        return True
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    finally:
        # Closing it gives the lock up.
        os.close(handle)
    return True
