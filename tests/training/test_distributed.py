"""Several gloo processes do what one does: the same training, the same outputs, and no hang when one of them fails."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import several_processes

from pare_bench.model.parts import Part, cuts, nominal, nominal_rows

WORKER = Path(__file__).with_name("distributed_worker.py")
COUNTS = (1, 2, 3)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What each process of 1, 2 and 3 saw."""
    found = {}
    for count in COUNTS:
        folder = tmp_path_factory.mktemp(f"processes{count}")
        for code, _, err in several_processes.run(count, WORKER, folder):
            assert code == 0, err
        found[count] = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]
    return found


@pytest.mark.parametrize("case", ["uneven", "empty", "single", "accumulated", "released"])
@pytest.mark.parametrize("count", COUNTS[1:])
def test_training_does_not_depend_on_the_number_of_processes(seen, case, count):
    (alone,) = seen[1]
    expected = alone["trained"][case]
    for process in seen[count]:
        found = process["trained"][case]
        assert (found["steps"], found["examples"]) == (expected["steps"], expected["examples"])
        np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-9)
        for weights, same in zip(found["weights"], expected["weights"], strict=True):
            np.testing.assert_allclose(weights, same, rtol=1e-8, atol=1e-9)
        assert found["weights"] == seen[count][0]["trained"][case]["weights"]


@pytest.mark.parametrize("count", COUNTS[1:])
def test_all_processes_back_off_when_one_runs_out_of_memory(seen, count):
    expected = seen[1][0]["roomy"]
    assert expected["parts"] == 1
    for process in seen[count]:
        found = process["tight"]
        assert found["parts"] == {2: 4, 3: 2}[count]
        np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-9)
        for weights, same in zip(found["weights"], expected["weights"], strict=True):
            np.testing.assert_allclose(weights, same, rtol=1e-8, atol=1e-9)


def test_a_weight_without_gradient_anywhere_is_left_alone(seen):
    """AdamW would decay it if it had a gradient of zeros."""
    import torch
    from torch import nn

    torch.manual_seed(5)
    first = [nn.init.normal_(torch.empty(shape, dtype=torch.float64)) for shape in [(1, 3), (1,)] * 3]
    for count in COUNTS:
        weights = seen[count][-1]["trained"]["uneven"]["weights"]
        assert weights[4:] == [tensor.tolist() for tensor in first[4:]]
        assert weights[0] != first[0].tolist()


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize("examples", ["1", "63", "64", "65", "200", "257"])
def test_outputs_are_the_same_bits_in_every_process(seen, count, examples):
    (alone,) = seen[1]
    assert len(alone["predicted"][examples]) == int(examples)
    for process in seen[count]:
        assert process["predicted"][examples] == alone["predicted"][examples]


def test_exchanges_by_hand(seen):
    for rank, process in enumerate(seen[3]):
        found = process["exchanged"]
        assert found["gradients"] == [[6.0, 6.0], [1.0, 1.0], None]
        assert found["totals"] == [4.5, 3.0]
        assert found["from_main"] == {"rank": 0}
        assert found["tensors"] == {"a": [0, 1, 2], "b": [[1.0, 1.0], [1.0, 1.0]]}
        assert found["share"] == [[[0, 2], [2, 4], [4, 7]][rank], [[0, 0], [0, 0], [0, 1]][rank], [0, 0]]
    assert seen[1][0]["exchanged"]["gradients"] == [[1.0, 1.0], [1.0, 1.0], None]


def test_when_one_process_fails_the_others_end_with_an_error(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(
        "import os\nfrom accelerate import Accelerator\nfrom pare_bench.training.distributed import Processes\n"
        "processes = Processes.of(Accelerator(cpu=True))\nprocesses.totals(1.0)\n"
        "if processes.rank == 1:\n    raise RuntimeError('disk is gone')\n"
        "for _ in range(3):\n    processes.totals(1.0)\n"
    )
    began = time.monotonic()
    results = several_processes.run(2, script, timeout=100)
    assert all(code != 0 for code, _, _ in results)
    assert "disk is gone" in results[1][2]
    assert time.monotonic() - began < 60


def test_cuts_cover_everything_once():
    for total in range(9):
        for number in range(1, 6):
            ranges = cuts(total, number)
            assert [index for start, stop in ranges for index in range(start, stop)] == list(range(total))
            assert max(stop - start for start, stop in ranges) - min(stop - start for start, stop in ranges) <= 1
    assert Part(2, 5, 8).pieces(2) == [Part(2, 3, 8), Part(3, 5, 8)]
    assert Part(2, 3, 8).pieces(4) == [Part(2, 3, 8)]


def test_draws_are_made_for_the_whole_batch_and_cut():
    import torch

    whole = torch.arange(8) * 10
    asked = []

    def draw(examples):
        asked.append(examples)
        return whole[:examples]

    assert nominal(3) == (3, slice(0, 3))
    with Part(2, 5, 8).current():
        assert nominal(3) == (8, slice(2, 5))
        assert nominal_rows(3, draw).tolist() == [20, 30, 40]
        # Not the batch at work: something of its own size.
        assert nominal_rows(2, draw).tolist() == [0, 10]
    with Part(0, 8, 8).current():
        assert nominal_rows(8, draw).tolist() == whole.tolist()
    assert asked == [8, 2, 8]
