"""Source examples that a backbone has already embedded, in one safetensors file with its provenance.

Arrays ``tokens`` float32 ``[n tokens dim]`` and ``labels`` int64 ``[n]``; the metadata are texts: ``format`` (of this module), ``sha256`` over both
arrays, ``num_classes``, and whatever else says where the tokens come from.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.datasets.arrays_file import map_arrays
from pare_bench.errors import EnvironmentFault, IntegrityError

FORMAT = "pare-bench source tokens 1"


@dataclass(frozen=True)
class TokenFile:
    """Embedded examples ``tokens`` [n tokens dim], their ``labels`` [n], the number of classes, and the provenance."""

    tokens: NDArray[np.float32]
    labels: NDArray[np.int64]
    num_classes: int
    provenance: Mapping[str, str]


def tokens_digest(tokens: NDArray[Any], labels: NDArray[Any]) -> str:
    """Return the SHA-256 over shapes and bytes of both arrays."""
    total = hashlib.sha256(f"{tokens.shape} {labels.shape}".encode())
    for array in (tokens, labels):
        # In pieces: a memory map is not read into memory as a whole.
        for start in range(0, len(array), 256):
            total.update(np.ascontiguousarray(array[start : start + 256]).data)
    return total.hexdigest()


def write_tokens(path: Path, content: TokenFile) -> str:
    """Write a file, whole or not at all, and return the digest of its arrays.

    Raises:
        EnvironmentFault: it cannot be written.

    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    digest = tokens_digest(content.tokens, content.labels)
    metadata = {**content.provenance, "format": FORMAT, "sha256": digest, "num_classes": str(content.num_classes)}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        save_file({"tokens": np.ascontiguousarray(content.tokens), "labels": np.ascontiguousarray(content.labels)}, temporary, metadata)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except (OSError, SafetensorError) as error:
        raise EnvironmentFault(
            f"'{path}' cannot be written: {getattr(error, 'strerror', None) or error}", hint="choose another file with --out FILE"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return digest


def read_tokens(path: Path) -> TokenFile:
    """Return what :func:`write_tokens` wrote; the arrays are read-only memory maps.

    Raises:
        IntegrityError: the file is not of this format, is damaged, or its arrays do not fit together.

    """
    from safetensors import SafetensorError, safe_open

    hint = f"rm '{path}' && pare-bench data build-source --out '{path}'"
    try:
        arrays = map_arrays(path)
        with safe_open(path, framework="numpy") as opened:
            metadata = dict(opened.metadata() or {})
    except (ValueError, OSError, SafetensorError) as error:
        raise IntegrityError(f"'{path}' is no file of source tokens: {error}", hint=hint) from error
    if metadata.get("format") != FORMAT or set(arrays) != {"tokens", "labels"}:
        raise IntegrityError(f"'{path}' is no file of source tokens: format '{metadata.get('format')}', '{FORMAT}' was expected", hint=hint)
    tokens, labels = arrays["tokens"], arrays["labels"]
    number = metadata.get("num_classes", "")
    typed = tokens.dtype == np.float32 and labels.dtype == np.int64 and number.isdecimal()
    if not typed or tokens.ndim != 3 or not len(tokens) or labels.shape != tokens.shape[:1]:
        raise IntegrityError(f"'{path}' holds tokens {tokens.dtype} {tokens.shape} and labels {labels.dtype} {labels.shape}", hint=hint)
    if tokens_digest(tokens, labels) != metadata.get("sha256"):
        raise IntegrityError(f"'{path}' does not have the digest that it was written with", hint=hint)
    return TokenFile(tokens, labels, int(number), metadata)
