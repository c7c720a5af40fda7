import numpy as np
from pare_bench import metrics
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, TaskSize
from pare_bench.datasets.simulated import SimulatedTask


class Tones(SimulatedTask):
    name, version, inputs, target = "tones", 1, InputShape(1, (128,)), Classes(4)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes = {"smoke": TaskSize(48, 24, 48), "cpu": TaskSize(400, 100, 200)}
    preset_settings = {"cpu": {"budget.epochs": 20, "recipe.batch_size": 8}}

    def simulate(self, split, count, index, rng):
        pitch = rng.permutation(np.arange(count) % 4)
        phase = 2 * np.pi * ((pitch[:, None] + 2) * np.arange(128) / 128 + rng.random((count, 1)))
        waves = np.sin(phase) + 0.3 * rng.normal(size=(count, 128))
        return Split(waves[:, None].astype(np.float32), pitch)
