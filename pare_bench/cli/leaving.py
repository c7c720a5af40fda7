"""How one of several processes ends."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End this one of several processes with ``code``, without taking its libraries down one by one.

    About one process in thirty was aborted there with "terminate called without an active exception" (torch 2.14, gloo), although its work was
    done and the group left; a launcher would have called the whole campaign failed.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, OSError):
            stream.flush()
    os._exit(code)
