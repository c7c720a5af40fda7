"""What a method holds of its task: read-only views, never the arrays that it is scored on; and whether the test split is still what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import Examples, in_memory
from pare_bench.contracts.task import Split, Splits
from pare_bench.errors import RunFault


def handed(splits: Splits) -> tuple[Split, Split]:
    """Return the training and the validation split as a method gets them: arrays in memory cannot be written to.

    On the ``paper`` track the validation split is the test split: of what scores are computed from, targets and extras, the method gets a copy.
    """
    val = splits.val
    if any(_shared(one, other) for _, one in _arrays(val) for _, other in _arrays(splits.test)):
        val = Split(val.inputs, _copy(val.targets), {name: _copy(array) for name, array in val.extras.items()})
    return read_only(splits.train), read_only(val)


def read_only(split: Split) -> Split:
    """Return the same data; arrays in memory as views that refuse to be written to."""
    return Split(_view(split.inputs), _view(split.targets), {name: _view(array) for name, array in split.extras.items()})


class Seal:
    """Says whether a split has changed: torch writes through arrays that are read-only, and a view leads to the array that it shows.

    It keeps digests, not the split. Arrays in memory only; a read-only map of a file cannot be written to.
    """

    def __init__(self, split: Split) -> None:
        self._digests = dict(_digests(split))

    def check(self, split: Split) -> None:
        """Do nothing where ``split`` is what it was.

        Raises:
            RunFault: an array has changed.
        """
        changed = [name for name, digest in _digests(split) if digest != self._digests.get(name)]
        if changed:
            raise RunFault(
                f"the method has changed the {' and '.join(changed)} that it is scored on",
                hint="work on a copy: torch.from_numpy(array) shares the array's memory, torch.tensor(array) does not",
            )


def checked_outputs(outputs: object, count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what a predictor gave for ``count`` examples as float32 ``[count *shape]``.

    Raises:
        RunFault: it is no array of floating-point numbers of that shape, or not finite.
    """
    found = np.asarray(outputs)
    if found.dtype.kind != "f" or found.shape != (count, *shape):
        raise RunFault(
            f"predictions on the test split are {found.dtype} {list(found.shape)}, this task takes floating-point numbers {[count, *shape]}",
            hint="pare-bench check says what a method has to return",
        )
    with np.errstate(over="ignore"):
        values = np.asarray(found, dtype=np.float32)
    if not np.isfinite(values).all():
        raise RunFault("predictions on the test split are not finite", hint="lower recipe.learning_rate")
    return values


def _digests(split: Split) -> Iterator[tuple[str, str]]:
    for name, array in _arrays(split):
        yield name, hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _arrays(split: Split) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for name, array in (("inputs", split.inputs), ("targets", split.targets), *sorted(split.extras.items())):
        if in_memory(array):
            yield name, np.asarray(array)


def _view(examples: Examples) -> Examples:
    if not in_memory(examples):
        return examples
    view = np.asarray(examples).view()
    view.flags.writeable = False
    return view


def _copy(examples: Examples) -> Examples:
    return np.array(examples) if in_memory(examples) else examples


def _shared(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    return bool(np.may_share_memory(one, other))
