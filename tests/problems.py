"""What a check of a component has to say."""

from __future__ import annotations

from collections.abc import Sequence


def assert_found(problems: Sequence[str], *words: str) -> None:
    """Fail unless one of ``problems`` has all ``words``."""
    assert problems
    assert any(all(word in problem for word in words) for problem in problems), problems
