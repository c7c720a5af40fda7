"""Coverage-guided fuzzing of the readers of tests/readers.py with atheris, which is no dependency: it comes for Python 3.11 to 3.13 on Linux.

    pip install atheris
    PYTHONPATH=.:baselines:tests python tests/proofs/coverage_guided.py "source tokens" -runs=100000 -rss_limit_mb=2048

It goes on from the whole files of the table and stops at the first exception that is none of those that the reader may raise.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pare_bench"]):
    from readers import READERS

    from pare_bench.errors import PareBenchError


def main() -> None:
    """Fuzz the reader that the first argument names; the others are libFuzzer's."""
    reader = READERS[sys.argv.pop(1)]
    folder, corpus = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    for number, seed in enumerate(reader.seeds):
        (corpus / str(number)).write_bytes(seed)
    warnings.simplefilter("ignore")

    def once(content: bytes) -> None:
        try:
            reader.read(folder, content)
        except (PareBenchError, *reader.also):
            pass
        finally:
            for path in folder.iterdir():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    atheris.Setup([*sys.argv, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
