"""A comparison as Markdown, LaTeX and CSV; JSON and a terminal's tables have modules of their own."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence

from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.document import as_json
from pare_bench.comparison.parts import parts
from pare_bench.comparison.screen import as_table
from pare_bench.comparison.table_parts import Sentence, Table

__all__ = ["as_csv", "as_json", "as_latex", "as_markdown", "as_table", "markdown"]

_SIGN = re.compile(r"(?:^|(?<= ))-(?=\d)")
# A float with more rows than this runs off a page (11 pt, long caption); longtable breaks.
_PAGE = 35
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "|": r"\textbar{}",
    "<": "$<$",
    ">": "$>$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def as_csv(comparison: Comparison) -> str:
    """Return one line per task and method, with a header; numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    place = ("suite", "tier", "track", "preset")
    named = ("task", "version", "data_sha256", "metric", "direction", "method")
    writer.writerow([*place, *named, "mean", "spread", "n", "failed", "rank", "floor", "verdict", "low", "high", "gain", "missing", "persistence"])
    for row in comparison.tasks:
        for method, cell in row.cells.items():
            numbers = [cell.mean, cell.spread, cell.n, len(cell.failed), row.ranks[method], row.floor, row.verdict]
            gain = None if cell.mean is None else row.gain(cell.mean)
            names = [row.task, row.version, row.data_sha256, row.metric, row.direction, method]
            values = [*comparison.division, *names, *numbers, *(cell.interval or (None, None)), gain, comparison.missing, row.persistence]
            writer.writerow(["" if value is None else value for value in values])
    return text.getvalue()


def as_markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown."""
    return markdown(parts(comparison))


def markdown(shown: Iterable[Table | Sentence]) -> str:
    """Return tables and sentences as Markdown."""
    blocks: list[str] = []
    for part in shown:
        if isinstance(part, Table):
            blocks += [f"**{part.title}**"] if part.title else []
            blocks += ["\n".join(_markdown(part)), part.legend]
        elif part.kind == "note" and blocks[-1].startswith("- "):
            blocks[-1] += f"\n- {part.text}"
        else:
            blocks.append(f"- {part.text}" if part.kind == "note" else part.text)
    return "\n\n".join(blocks) + "\n"


def as_latex(comparison: Comparison) -> str:
    """Return the comparison as LaTeX: tables (package booktabs; those longer than a page need longtable), and between them sentences as text."""
    blocks = []
    for part in parts(comparison):
        if isinstance(part, Sentence):
            blocks.append(_escape(f"Note: {part.text}." if part.kind == "note" else part.text))
        else:
            blocks.append("\n".join(_latex(part)))
    return "\n\n".join(blocks) + "\n"


def _latex(part: Table) -> list[str]:
    caption = f"\\caption{{{_escape('. '.join(filter(None, (part.title, part.legend))))}}}"
    columns = "".join("l" if name in part.left else "r" for name in part.columns)
    head = [r"\toprule", _line(part.columns), r"\midrule"]
    body = [*(_line(row, {place for at, place in part.bold if at == number}) for number, row in enumerate(part.rows)), r"\bottomrule"]
    if len(part.rows) > _PAGE:
        heads = [caption + r" \\", *head, r"\endfirsthead", *head, r"\endhead"]
        return [f"\\begin{{longtable}}{{{columns}}}", *heads, *body, r"\end{longtable}"]
    tabular = [f"\\begin{{tabular}}{{{columns}}}", *head, *body, r"\end{tabular}"]
    return [r"\begin{table}", r"\centering", caption, *tabular, r"\end{table}"]


def _line(cells: Sequence[str], bold: Collection[int] = ()) -> str:
    # A hyphen before a number is a minus.
    texts = (_SIGN.sub("$-$", _escape(cell)) for cell in cells)
    return " & ".join(f"\\textbf{{{text}}}" if place in bold else text for place, text in enumerate(texts)) + r" \\"


def _escape(text: str) -> str:
    # Two hyphens would become a dash: options keep theirs.
    return "".join(_LATEX.get(character, character) for character in text).replace("--", "-{}-")


def _markdown(part: Table) -> list[str]:
    rows = [[f"**{cell}**" if (number, place) in part.bold else cell for place, cell in enumerate(row)] for number, row in enumerate(part.rows)]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (part.columns, ["---"] * len(part.columns), *rows)]
