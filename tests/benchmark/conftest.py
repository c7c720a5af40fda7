"""Benchmarks use all cores, as a run does."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _all_cores():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)
