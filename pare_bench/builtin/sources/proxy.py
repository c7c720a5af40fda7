"""What the published proxy data sets have in common: official files alone, at most 5,000 training examples, one seeded subset."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pare_bench import metrics
from pare_bench.contracts import params
from pare_bench.contracts.task import Metric, Split, Splits, Task, TaskSize
from pare_bench.errors import DataMissingError
from pare_bench.seeds import stream


class PublishedProxy(Task, ABC):
    """A source data set that methods learn from; it is read from its published files and has no generated twin.

    Methods use the training part alone. It is the same for both tracks: a proxy has no score that a track could define. The released code
    draws its 5,000 examples from NumPy's global state, once for alignment and again for mixing; here one named stream draws them once.
    """

    class Params(params.Params):
        """Parameters of a published proxy."""

        max_samples: int = Field(5000, ge=1, description="most training examples; published: 5000")
        subset: int = Field(0, ge=0, description="number of the random subset, where there are more examples")

    params: PublishedProxy.Params
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes: ClassVar[dict[str, TaskSize]] = {}
    #: Proxy of the same modality that needs no files.
    stand_in: ClassVar[str] = "textures"

    def generated(self, seed: int, size: TaskSize) -> Splits:  # noqa: ARG002 - the contract's signature
        """Say that there is no generated tier.

        Raises:
            DataMissingError: always.

        """
        raise DataMissingError(
            f"source '{self.name}' is read from its published files alone and has no generated twin",
            hint=f"pare-bench data fetch {self.name}; without the files: -o source={self.stand_in}",
        )

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Return which of ``count`` training examples are used, in random order: a larger ``max_samples`` extends a smaller one."""
        return stream(self.name, self.version, "subset", self.params.subset).permutation(count)[: self.params.max_samples]


def halves(split: Split) -> tuple[Split, Split]:
    """Return the first and the second half of held-out examples, the validation and test parts of a proxy."""
    middle = len(split) // 2
    order = np.arange(len(split))
    return split.take(order[:middle]), split.take(order[middle:])
