"""``compile``: the same results to 1e-4 and the same names of weights."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from pare_bench.config.resolution import Request, resolve
from pare_bench.contracts.method import TrainData
from pare_bench.registry.names import Registry
from pare_bench.runs.preparation import prepare
from pare_bench.training.context import RunContext, predict
from pare_bench.training.progress import Silent
from pare_bench_baselines.fine_tuning import TargetObjective


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for the CPU needs g++")
@pytest.mark.parametrize("task", ["satellite", "ninapro"])
def test_a_compiled_network_trains_like_an_eager_one(task):
    registry = Registry.from_environment()
    results = {}
    for compiled in (False, True):
        options = (f"compile={str(compiled).lower()}", "size.train=16", "size.val=8", "size.test=8", "recipe.batch_size=8", "budget.epochs=1")
        (config,) = resolve(registry, Request(method="full_finetune", suite="nas360", tasks=(task,), preset="smoke", overrides=options))
        prepared = prepare(registry, config)
        parts = prepared.data.splits
        data = TrainData(task, prepared.task.inputs, prepared.task.target, prepared.task.metrics, parts.train, parts.val)
        context = RunContext(config, registry, Silent(), Accelerator(cpu=True), None, None)
        network = context.build_network(data)
        history = context.fit(TargetObjective(network, data.target), network, data)
        outputs = predict(network, parts.test.inputs, context.accelerator)
        results[compiled] = network.state_dict().keys(), history.curve[-1].train_loss, outputs
        assert (network.backbone._compiled_call_impl is not None) == compiled
    torch.compiler.reset()
    eager, fast = results[False], results[True]
    assert eager[0] == fast[0]
    assert fast[1] == pytest.approx(eager[1], rel=1e-4)
    np.testing.assert_allclose(fast[2], eager[2], rtol=1e-4, atol=1e-4)
