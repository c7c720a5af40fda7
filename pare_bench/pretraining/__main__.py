"""Dispatch ``python -m pare_bench.pretraining NAME [options]`` to the recipe of one bundled backbone."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from pare_bench.errors import PareBenchError

RECIPES = {"nano_swin": "pare_bench.pretraining.vision", "nano_text": "pare_bench.pretraining.text"}


def main(argv: list[str] | None = None) -> None:
    """Run the recipe that the first argument names with the other arguments."""
    parser = argparse.ArgumentParser(prog="python -m pare_bench.pretraining", description="Pretrain a bundled backbone.", add_help=False)
    parser.add_argument("backbone", choices=sorted(RECIPES))
    arguments = sys.argv[1:] if argv is None else argv
    options = parser.parse_args(arguments[:1])
    try:
        import_module(RECIPES[options.backbone]).main(arguments[1:])
    except PareBenchError as error:
        parser.exit(int(error.exit_code), f"error: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))


if __name__ == "__main__":
    main()
