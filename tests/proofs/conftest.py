"""A store of small real runs, made once."""

from __future__ import annotations

import shutil

import pytest
from proof_tools import TINY


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A store with a plain method and two of its seeds, and another method; run once."""
    from pare_bench.cli import main

    out = tmp_path_factory.mktemp("made") / "out"
    for words in (("full_finetune", "--seeds", "0-1"), ("constant",)):
        assert main(["run", "--method", *words, "--task", "satellite", "--predictions", "full", "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture
def out(made, tmp_path):
    """A copy of the store to be bent."""
    return shutil.copytree(made, tmp_path / "out")
