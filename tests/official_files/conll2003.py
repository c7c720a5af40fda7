"""Small CoNLL-2003 files in the shared task's form, with sentences of our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NAMES = {
    "PER": ("Ada Lovelace", "Gauss", "Emmy Noether"),
    "ORG": ("Geodetic Institute", "FC Example", "Observatory"),
    "LOC": ("Lisbon", "New Harbour", "Ghana"),
    "MISC": ("Portuguese", "World Cup", "Baroque"),
}
WORDS = ("the", "reported", "visited", "said", "while", "match", "year", "of", "in", "after", "before", "won", "lost", "drew", "measured")
COUNTS = {"eng.train": 60, "eng.testa": 14, "eng.testb": 14}


def sentence(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Words with entity tags as the original files have them: ``B-`` only where an entity follows another one of its kind."""
    rows: list[tuple[str, str]] = []
    for _ in range(int(rng.integers(0, 5))):
        rows += [(str(word), "O") for word in rng.choice(WORDS, int(rng.integers(0, 5)))]
        kind = str(rng.choice(list(NAMES)))
        first = "B" if rows and rows[-1][1][2:] == kind else "I"
        rows += [(word, f"{'I' if index else first}-{kind}") for index, word in enumerate(str(rng.choice(NAMES[kind])).split())]
    return [*rows, (".", "O")]


def text(sentences: list[list[tuple[str, str]]]) -> str:
    """The file: a document line every seven sentences, an empty line after each sentence."""
    blocks = []
    for index, rows in enumerate(sentences):
        if index % 7 == 0:
            blocks.append("-DOCSTART- -X- O O\n\n")
        blocks.append("".join(f"{word} NN I-NP {tag}\n" for word, tag in rows) + "\n")
    return "".join(blocks)


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``eng.train``, ``eng.testa`` and ``eng.testb``."""
    rng = np.random.default_rng(seed)
    folder = root / "conll2003"
    folder.mkdir(parents=True)
    for name, count in COUNTS.items():
        (folder / name).write_text(text([sentence(rng) for _ in range(count)]))
