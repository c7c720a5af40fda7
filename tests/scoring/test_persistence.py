"""The second floor: nothing changes."""

from __future__ import annotations

import numpy as np
import pytest

from pare_bench.contracts.task import Classes, Field
from pare_bench.scoring.floor import PersistencePredictor, persists


def test_the_input_is_said_again_in_the_units_of_the_target() -> None:
    inputs = np.random.default_rng(0).standard_normal((5, 3, 7)).astype(np.float32)
    one = PersistencePredictor(Field((7,), persistence=((2, 1.0, 0.0),))).predict(inputs)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, inputs[:, 2])
    several = PersistencePredictor(Field((7,), channels=4, persistence=((0, 2.0, 5.0), (1, 0.5, -1.0)) * 2)).predict(inputs)
    expected = np.stack([2 * inputs[:, 0] + 5, 0.5 * inputs[:, 1] - 1], axis=1)
    np.testing.assert_allclose(several, np.concatenate([expected, expected], axis=1), rtol=1e-6)


@pytest.mark.parametrize("target", [Field((7,)), Classes(3)])
def test_what_does_not_persist_is_refused(target) -> None:
    assert not persists(target)
    with pytest.raises(ValueError, match="not a field that the input shows at an earlier time"):
        PersistencePredictor(target)
