"""What every reader of a table has in common: how much it may hold, which text it may be, what is a number, and how a foreign word is shown."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: A number as Java, C and the format's description write it: no underscores, no digits of other scripts, and neither "nan" nor "inf".
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Limits:
    """How much a file of a table may hold; looked at before anything of that size is allocated.

    ``size`` is in bytes, ``line`` in characters (a row, or the declaration of a column with all its categories), ``categories`` counts those that
    all columns declare. The largest table of suite ``openml_full`` has 432,000 cells; each limit is far above what any of them needs.
    """

    size: int = 16 << 20
    line: int = 1 << 20
    columns: int = 10_000
    categories: int = 200_000
    cells: int = 4_000_000

    def lines(self, text: str, newline: str | None) -> Iterator[str]:
        """Give the lines of ``text``, which line feeds and carriage returns end; ``newline`` as for :class:`io.StringIO`.

        Raises:
            ValueError: one is too long.
        """
        for number, line in enumerate(io.StringIO(text, newline=newline), start=1):
            if len(line) > self.line:
                raise ValueError(f"line {number} has more than {self.line:,} characters")
            yield line

    def check_columns(self, count: int) -> None:
        """Check the number of columns.

        Raises:
            ValueError: there are too many.
        """
        if count > self.columns:
            raise ValueError(f"it has more than {self.columns:,} columns")

    def check_categories(self, count: int) -> None:
        """Check the number of declared categories.

        Raises:
            ValueError: there are too many.
        """
        if count > self.categories:
            raise ValueError(f"it declares more than {self.categories:,} categories")

    def check_row(self, number: int, columns: int) -> None:
        """Check that row ``number`` (from 1) may be kept.

        Raises:
            ValueError: there would be too many cells.
        """
        if number * columns > self.cells:
            raise ValueError(f"it has more than {self.cells:,} cells: {number:,} rows of {columns:,} columns, and more to come")


LIMITS = Limits()


def read_text(path: Path, limits: Limits = LIMITS) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        ValueError: it is too large or not UTF-8; replacing what is unknown would make one category of several.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        content = stream.read(limits.size + 1)
    if len(content) > limits.size:
        raise ValueError(f"it is larger than {limits.size:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: it is not UTF-8 (byte 0x{content[error.start]:02x}); iconv -f latin1 -t utf-8 makes it so") from None


def is_number(word: str) -> bool:
    """Return whether a cell is a number; "nan", "inf" and "1_000" are none."""
    return _NUMBER.fullmatch(word) is not None


def repeated(words: Iterable[str]) -> str | None:
    """Return the first of ``words`` that occurred before, or None."""
    seen: set[str] = set()
    for word in words:
        if word in seen:
            return word
        seen.add(word)
    return None


def shown(word: str) -> str:
    """Return a word of a file for a message: quoted, at most 40 characters, nothing that moves the cursor."""
    visible = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in word[:40])
    return f"'{visible}{'...' if len(word) > 40 else ''}'"
