"""Weights that ship inside the package, read and checked against their model card; digests of weight files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor

from pare_bench.errors import DataMissingError, IntegrityError

_HINT = "reinstall pare-bench"


def bundled_digest(name: str, folder: Path | None = None) -> str:
    """Return the SHA-256 that the card of backbone ``name`` promises for its weights.

    Raises:
        DataMissingError: the card is not in this installation.
        IntegrityError: the card is not a card.

    """
    return str(_card(name, folder)["sha256"])


def bundled_files(name: str) -> tuple[Path, ...]:
    """Return weights and card of backbone ``name``."""
    folder = Path(str(files("pare_bench") / "data" / "weights"))
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def load_bundled(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """Return the bundled weights of backbone ``name``, stored in half precision, as float32 tensors.

    ``folder`` replaces the package's own folder of weights (a fresh pretraining's output, for instance).

    Raises:
        DataMissingError: weights or card are not in this installation.
        IntegrityError: the file's SHA-256 is not the one on its card.

    """
    from safetensors.torch import load

    promised = bundled_digest(name, folder)
    content = _read(f"{name}.safetensors", folder)
    found = hashlib.sha256(content).hexdigest()
    if found != promised:
        raise IntegrityError(f"bundled weights '{name}.safetensors' have sha256 {found}, their card says {promised}", hint=_HINT)
    return {key: value.float() for key, value in load(content).items()}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of one file, or over the digests of several in the order given."""
    digests = [file_digest(path) for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _card(name: str, folder: Path | None) -> dict[str, Any]:
    try:
        card = json.loads(_read(f"{name}.json", folder))
    except json.JSONDecodeError as error:
        raise IntegrityError(f"card '{name}.json' is not JSON: {error}", hint=_HINT) from error
    if not isinstance(card, dict) or "sha256" not in card:
        raise IntegrityError(f"card '{name}.json' has no 'sha256'", hint=_HINT)
    return card


def _read(file: str, folder: Path | None) -> bytes:
    place = (folder if folder is not None else files("pare_bench") / "data" / "weights") / file
    try:
        return place.read_bytes()
    except FileNotFoundError as error:
        raise DataMissingError(f"bundled file '{file}' is missing", hint=_HINT) from error
