"""JSON files that only pare-bench writes and that say, by a digest of their own text, whether they are whole: a flipped bit shows, too."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BEFORE, _AFTER = '{"seal": "', '", '
_DIGITS = 64


class UnsealedError(ValueError):
    """A document without a seal, as earlier versions wrote it."""


def sealed(document: Mapping[str, Any], **options: Any) -> str:
    """Return ``document``, which is not empty, as JSON with its seal in front; ``options`` are those of ``json.dumps``."""
    body = json.dumps(document, **options)[1:]
    return f"{_BEFORE}{_digest(body)}{_AFTER}{body}"


def opened(text: str, *, needs_seal: bool = True) -> dict[str, Any]:
    """Return the document in ``text``; one without a seal only where none is needed.

    Raises:
        UnsealedError: it has none.
        ValueError: it is no such document, or has been changed since it was written.
    """
    text = text.removesuffix("\n")
    end = len(_BEFORE) + _DIGITS
    if text.startswith(_BEFORE) and text.startswith(_AFTER, end):
        body = text[end + len(_AFTER) :]
        if _digest(body) != text[len(_BEFORE) : end]:
            raise ValueError("the content has been changed since it was written")
        text = "{" + body
        needs_seal = False
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("too many levels") from error
    if not isinstance(document, dict):
        raise ValueError("not an object")
    if needs_seal:
        raise UnsealedError("no seal")
    return document


def remembered(path: Path, *, needs_seal: bool = True) -> dict[str, Any] | None:
    """Return the document in a file that can be made again, None where there is none that can be believed.

    One that is damaged is named in a warning; one that an earlier version wrote without a seal is passed over where it needs one.
    """
    try:
        return opened(path.read_text("utf-8"), needs_seal=needs_seal)
    except (OSError, UnsealedError):
        return None
    except ValueError as error:
        warnings.warn(f"'{path}' is damaged and made again: {error}", stacklevel=2)
        return None


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
