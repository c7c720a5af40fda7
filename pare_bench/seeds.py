"""Named random streams: everything random in a run comes from one of these.

A stream is identified by words ("cifar100", 1, "train", chunk 3), not by the order of calls, so adding a consumer never shifts another
one, and a data stream that does not mention the method is the same for every method (paired comparisons).
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_entropy(*words: str | int) -> int:
    """Return 128 bits of entropy derived from ``words`` (SHA-256 of their typed, length-prefixed text)."""
    digest = hashlib.sha256()
    for word in words:
        text = f"{type(word).__name__}:{word}".encode()
        digest.update(len(text).to_bytes(8, "big") + text)
    return int.from_bytes(digest.digest()[:16], "big")


def stream(*words: str | int) -> np.random.Generator:
    """Return a PCG64 generator for the stream called ``words``."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(stream_entropy(*words))))


def stream_seed(*words: str | int) -> int:
    """Return a 63-bit seed for libraries that take an integer (torch, scikit-learn takes the low 32 bits)."""
    return stream_entropy(*words) >> 65
