"""Which commit of pare-bench a run was made with, where it runs from a checkout."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def revision() -> str | None:
    """Return the commit, with ``+`` where the checkout has changes to tracked files; None for an installed package, or without git."""
    root = Path(str(files("pare_bench"))).parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    # No user input enters the command; without optional locks a run does not get in the way of another git command.
    command = ["git", "--no-optional-locks", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
