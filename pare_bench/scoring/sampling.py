"""What another draw of test examples would have given: a bootstrap of a metric over the test split, in groups where examples belong together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.task import Metric, Split
from pare_bench.seeds import stream

#: Resamples of a test split: the standard error is good to 5%.
RESAMPLES = 200
#: Resamples whose scores a record keeps: good to 15%, which the interval allows for, at the price of so many evaluations of one metric.
RECORDED = 24
#: Digits of a score that is kept.
_DIGITS = 7


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


def resampled_scores(metric: Metric, outputs: NDArray[np.floating], test: Split, data_sha256: str) -> tuple[float | None, ...]:
    """Return what a record keeps: the first scores of :func:`of_data`, None where a resample has none."""
    found = of_data(metric, outputs, test, data_sha256, count=RECORDED)
    return tuple(float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in found)


def of_data(metric: Metric, outputs: NDArray[np.floating], test: Split, data_sha256: str, count: int = RESAMPLES) -> NDArray[np.float64]:
    """Return :func:`replicates` by the stream of these data: all runs on them draw the same examples, and fewer of them are the first ones."""
    return replicates(metric, outputs, test, "test sampling", data_sha256, count=count)
