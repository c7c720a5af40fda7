"""What another draw of test examples would have given: a bootstrap of a metric over the test split, in groups where examples belong together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.task import Metric, Split
from pare_bench.seeds import stream

#: Resamples of a test split: the standard error is good to 5%.
RESAMPLES = 200


def replicates(metric: Metric, outputs: NDArray[np.floating], test: Split, *words: str | int, count: int = RESAMPLES) -> NDArray[np.float64]:
    """Return ``metric`` of ``outputs`` ``[n ...]`` on ``count`` resamples of the test split, not a number where a resample has no score.

    Whole groups are drawn with replacement (``extras["groups"]``: recordings, clips, subjects, fields of one trajectory; else single examples), each
    draw as a group of its own. ``words`` name the random stream: the same words draw the same examples, so that replicates of two methods are paired.
    """
    groups = np.asarray(test.extras["groups"]) if "groups" in test.extras else np.arange(len(test))
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    shape, targets = test.inputs.shape[1:], np.asarray(test.targets)
    extras = {name: np.asarray(values) for name, values in test.extras.items()}
    rng = stream(*words)
    found = np.full(count, np.nan)
    for index in range(count):
        drawn = rng.integers(0, len(members), len(members))
        places = np.concatenate([members[group] for group in drawn])
        own = {name: values[places] for name, values in extras.items()}
        if "groups" in own:
            own["groups"] = np.repeat(np.arange(len(drawn), dtype=np.int64), [len(members[group]) for group in drawn])
        # Metrics take shapes from the inputs, never values.
        inputs = np.broadcast_to(np.float32(0), (len(places), *shape))
        try:
            found[index] = metric.compute(outputs[places], Split(inputs, targets[places], own))
        except (ValueError, ZeroDivisionError):
            continue  # a resample without one of the classes, say
    return found
