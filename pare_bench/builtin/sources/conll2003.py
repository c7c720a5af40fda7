"""CoNLL-2003 as a proxy: the text that ORCA's and PaRe's source features of every 1-D task were computed from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pare_bench.builtin.sources.proxy import PublishedProxy
from pare_bench.builtin.sources.tokenization import TOKENIZER, Encoder, text_encoder, tokenizer_files
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Classes, InputShape, Split, Splits, Track
from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

#: Kinds of entities; ties of the label go to the first.
KINDS = ("PER", "ORG", "LOC", "MISC")
LENGTH = 32
#: Part -> names it is distributed under: of the shared task, and of the copies that model hubs hold.
PARTS = {"train": ("eng.train", "train.txt"), "val": ("eng.testa", "valid.txt"), "test": ("eng.testb", "test.txt")}
_TAG = re.compile(rf"O|[BI]-({'|'.join(KINDS)})")


class Conll2003(PublishedProxy):
    """Sentences of news in 32 tokens, 8 classes: most frequent kind of entity (person, organisation, place, other) x whether it is the only kind.

    Inputs are int64 token ids ``[n 32]``: opening token, as many tokens of the sentence as fit, closing token, padding. Any backbone's
    tokenizer will do. Only entities that begin inside the window count, and sentences without any are left out; class ``2 kind + mixed``.

    **The labels are ours.** The released features come with 8 classes whose meaning nobody published. (The training file happens to hold
    8 different entity tags, but a tag belongs to a word, not to a sentence.)

    The files are those of the shared task (Tjong Kim Sang and De Meulder, 2003): ``eng.train``, ``eng.testa``, ``eng.testb``, a word per line with
    part of speech, chunk and entity tag. Their text is Reuters' and is not free to download; copies named ``train.txt``, ``valid.txt`` and
    ``test.txt`` are read, too.
    """

    class Params(PublishedProxy.Params):
        """Parameters of ``conll2003``."""

        tokenizer: str | None = Field(None, description=TOKENIZER)

    params: Conll2003.Params
    name = "conll2003"
    version = 1
    inputs = InputShape(1, (LENGTH,))
    target = Classes(2 * len(KINDS))
    official_files = tuple(OfficialFile(names[0]) for names in PARTS.values())
    real: ClassVar[str | None] = "Reuters news of 1996"
    stand_in = "docstrings"

    def generated_files(self) -> tuple[Path, ...]:
        """Return the files of the tokenizer."""
        return tokenizer_files(self.params.tokenizer)

    def official(self, files: Files, track: Track) -> Splits:  # noqa: ARG002 - a proxy is the same for both
        """Read the three parts; train is a random subset, the others are whole.

        Raises:
            DataMissingError: a part, or the tokenizer, is not there.
            IntegrityError: a line has no four columns or an unknown tag, or there is no sentence with an entity.

        """
        encoder = text_encoder(self.params.tokenizer)
        splits: dict[str, Split] = {}
        for part, names in PARTS.items():
            path = files.path((files.find(*names) or Path(names[0])).name)
            split = windows(read_sentences(path), encoder)
            if not len(split):
                raise IntegrityError(f"'{path}' holds no sentence with an entity in its first {LENGTH - 2} tokens")
            splits[part] = split.take(self.chosen(len(split))) if part == "train" else split
        return Splits(**splits)


@dataclass(frozen=True)
class Sentence:
    """Words and their entity tags."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def read_sentences(path: Path) -> list[Sentence]:
    """Return the sentences of a file in the shared task's format: ``word POS chunk tag`` on a line, an empty line after each sentence.

    Lines ``-DOCSTART-`` separate documents and are left out.

    Raises:
        IntegrityError: a line does not have four columns, or its tag is not ``O``, ``B-`` or ``I-`` with a known kind.

    """
    sentences: list[Sentence] = []
    rows: list[tuple[str, str]] = []
    # The copies in circulation are not of one encoding; none of them says which, and only names are affected.
    for number, line in enumerate([*path.read_text("utf-8", errors="replace").splitlines(), ""], 1):
        columns = line.split()
        if not columns or columns[0] == "-DOCSTART-":
            if rows:
                sentences.append(Sentence(*(tuple(column) for column in zip(*rows, strict=True))))
            rows = []
            continue
        if len(columns) != 4 or not _TAG.fullmatch(columns[3]):
            raise IntegrityError(f"'{path}' line {number} is '{line[:60]}': a word, two tags and an entity tag such as I-PER were expected")
        rows.append((columns[0], columns[3]))
    return sentences


def entity_starts(tags: Sequence[str]) -> list[tuple[int, int]]:
    """Return (word, kind) of the first word of each entity.

    ``B-`` begins one, and so does ``I-`` after another kind or ``O``; so files that mark every beginning and the original ones, which mark it
    only where two entities meet, give the same.
    """
    starts: list[tuple[int, int]] = []
    before = "O"
    for word, tag in enumerate(tags):
        if tag != "O" and (tag[0] == "B" or before[2:] != tag[2:]):
            starts.append((word, KINDS.index(tag[2:])))
        before = tag
    return starts


def windows(sentences: Sequence[Sentence], encoder: Encoder, length: int = LENGTH) -> Split:
    """Return token ids int64 ``[n length]`` and labels int64 ``[n]`` of the sentences that show an entity, in their order."""
    known = sorted({word for sentence in sentences for word in sentence.words})
    # The leading blank makes a tokenizer treat the first word of a sentence like any other.
    pieces = dict(zip(known, encoder.encode([f" {word}" for word in known]) if known else [], strict=True))
    rows: list[NDArray[np.int64]] = []
    labels: list[int] = []
    for sentence in sentences:
        parts = [pieces[word] for word in sentence.words]
        first_token = np.cumsum([0, *(len(part) for part in parts)])
        counts = np.bincount([kind for word, kind in entity_starts(sentence.tags) if first_token[word] < length - 2], minlength=len(KINDS))
        if not counts.any():
            continue
        body = [token for part in parts for token in part][: length - 2]
        row = np.full(length, encoder.padding, np.int64)
        row[: len(body) + 2] = [encoder.opening, *body, encoder.closing]
        rows.append(row)
        labels.append(2 * int(counts.argmax()) + int(np.count_nonzero(counts) > 1))
    return Split(np.array(rows, np.int64).reshape(-1, length), np.array(labels, np.int64))
