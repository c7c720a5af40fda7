"""``python -m pare_bench``: the command line, for launchers that take a module (torchrun, accelerate launch)."""

from pare_bench.cli import entry_point

if __name__ == "__main__":
    entry_point()
