"""Proxy task of the language modality: to which chapter of the standard library's reference does a piece of documentation belong.

The text is read at run time from the running Python's own standard library (parsed, never imported), so it is real English prose that every
machine holds and that nobody has to ship. Its bytes therefore depend on the Python version; ``Docstrings.source_note`` names it.
"""

from __future__ import annotations

import hashlib
import platform
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pare_bench import metrics
from pare_bench.builtin.sources.corpus import CHAPTER_OF, CHAPTERS, Document, standard_library_documents, without_repeats
from pare_bench.builtin.sources.tokenization import TOKENIZER, Encoder, text_encoder, tokenizer_files
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import SPLIT_NAMES, Classes, InputShape, Metric, Split, Splits, Task, TaskSize
from pare_bench.errors import DataMissingError
from pare_bench.seeds import stream

_SPLIT_OF_RESIDUE = ("train",) * 6 + ("val",) * 2 + ("test",) * 2


class Docstrings(Task):
    """Windows of 32 tokens from standard-library docstrings, 8 classes: the chapters of the library reference (``corpus.CHAPTERS``).

    A window is ``<s>``, 30 tokens from the start of a sentence on, ``</s>``; neighbouring windows of a split may overlap, and where a docstring
    is too short the module's next one follows. A docstring belongs to one split, by a hash of its text, and every sentence is used in one
    docstring only, so splits share no sentence. Classes are drawn in turn: balanced until a chapter has no window left.
    """

    class Params(Params):
        """Parameters of ``docstrings``."""

        tokenizer: str | None = Field(None, description=TOKENIZER)

    params: Docstrings.Params
    name = "docstrings"
    version = 1
    inputs = InputShape(1, (32,))
    target = Classes(len(CHAPTERS))
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    real: ClassVar[str | None] = "docstrings of the running Python's standard library"
    sizes: ClassVar[dict[str, TaskSize]] = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(2000, 200, 200)}

    @property
    def source_note(self) -> str:
        """Say where the text comes from: two machines have the same bytes only if this is the same."""
        return f"standard library of {platform.python_implementation()} {platform.python_version()}"

    def generated_files(self) -> tuple[Path, ...]:
        """Return the files of the tokenizer."""
        return tokenizer_files(self.params.tokenizer)

    def generated(self, seed: int, size: TaskSize) -> Splits:
        """Draw ``size`` windows: inputs int64 token ids [n 32], targets int64 chapter [n].

        Raises:
            DataMissingError: this Python has no standard-library sources, the tokenizer is not here, or there are fewer windows than asked for.

        """
        encode = text_encoder(self.params.tokenizer)
        pools = _windows(without_repeats(standard_library_documents(chapters_only=True)), encode, self.inputs.grid[0])
        return Splits(**{name: self._draw(pools[name], name, seed, getattr(size, name)) for name in SPLIT_NAMES})

    def _draw(self, pool: list[NDArray[np.int64]], split: str, seed: int, count: int) -> Split:
        """Take ``count`` windows, one of each class in turn; a larger count extends a smaller one."""
        available = sum(len(windows) for windows in pool)
        if count > available:
            raise DataMissingError(
                f"{count} '{split}' examples of task 'docstrings' asked for, {self.source_note} gives {available}", hint="ask for a smaller size"
            )
        rng = stream(self.name, self.version, seed, split)
        turns = np.concatenate([np.arange(len(windows)) for windows in pool])
        chapters = np.repeat(np.arange(len(pool)), [len(windows) for windows in pool])
        windows = np.concatenate([windows[rng.permutation(len(windows))] for windows in pool])
        # Turn first, then chance: every round of turns visits the classes in another order.
        order = np.lexsort((rng.random(len(turns)), turns))[:count]
        return Split(windows[order], chapters[order].astype(np.int64))


def split_of(document: Document) -> str:
    """Return the split that ``document`` belongs to: 60 % train, 20 % val, 20 % test, by a hash of its text."""
    digest = hashlib.sha256(document.text.encode()).digest()
    return _SPLIT_OF_RESIDUE[int.from_bytes(digest[:8], "big") % len(_SPLIT_OF_RESIDUE)]


def _windows(documents: list[Document], encoder: Encoder, length: int) -> dict[str, list[NDArray[np.int64]]]:
    """Return for each split and chapter all windows ``[n length]``, in order of the text."""
    found: dict[str, list[list[NDArray[np.int64]]]] = {name: [[] for _ in CHAPTERS] for name in SPLIT_NAMES}
    for module, group in groupby(documents, key=lambda document: document.module):
        parts: dict[str, list[str]] = {name: [] for name in SPLIT_NAMES}
        for document in group:
            # The leading blank makes a tokenizer treat the first word of a sentence like any other.
            parts[split_of(document)] += [f" {sentence}" for sentence in document.sentences]
        for name, texts in parts.items():
            if texts:
                found[name][CHAPTER_OF[module.partition(".")[0]]].append(_module_windows(encoder.encode(texts), encoder, length))
    return {name: [np.concatenate([np.empty((0, length), np.int64), *chapter]) for chapter in chapters] for name, chapters in found.items()}


def _module_windows(encoded: list[list[int]], encoder: Encoder, length: int) -> NDArray[np.int64]:
    body = length - 2
    ids = np.concatenate([np.array(sentence, np.int64) for sentence in encoded])
    starts = np.cumsum([0] + [len(sentence) for sentence in encoded[:-1]])
    starts = starts[starts + body <= len(ids)]
    rows = ids[starts[:, None] + np.arange(body)]
    return np.pad(rows, ((0, 0), (1, 1)), constant_values=((0, 0), (encoder.opening, encoder.closing)))
