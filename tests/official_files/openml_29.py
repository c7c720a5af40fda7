"""A small table of OpenML in its published forms: the ARFF of the client or web page, and CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np

#: credit-approval (29): 15 features, two classes.
NUMBERS = (1, 2, 7, 10, 13, 14)
CATEGORIES = ("a", "b", "very good")
ROWS = 64


def cells(seed: int = 0) -> tuple[list[list[str]], list[str]]:
    """Return rows of 15 cells, some missing, and their classes."""
    rng = np.random.default_rng(seed)
    rows = [
        ["?" if rng.random() < 0.1 else f"{rng.normal(10, 3):.4f}" if place in NUMBERS else CATEGORIES[rng.integers(3)] for place in range(15)]
        for _ in range(ROWS)
    ]
    return rows, [("+", "-")[number % 3 == 0] for number in range(ROWS)]


def write(root: Path, *, seed: int = 0, form: str = "arff") -> Path:
    """Write ``openml_29/dataset.arff`` or ``dataset.csv``."""
    rows, classes = cells(seed)
    path = root / "openml_29" / f"dataset.{form}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "csv":
        lines = [",".join([*(f"A{place}" for place in range(15)), "class"])]
        lines += [",".join([*row, label]) for row, label in zip(rows, classes, strict=True)]
    else:
        nominal = "{a,b,'very good'}"
        lines = ["% credit approval", "@RELATION credit-approval"]
        lines += [f"@ATTRIBUTE A{place} {'REAL' if place in NUMBERS else nominal}" for place in range(15)]
        lines += ["@ATTRIBUTE class {+,-}", "@DATA"]
        lines += [",".join([*(f"'{cell}'" if " " in cell else cell for cell in row), label]) for row, label in zip(rows, classes, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path
