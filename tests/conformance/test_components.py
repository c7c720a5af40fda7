"""Every registered component, whoever registers it, must conform: a contributor adds a component and writes no test for it."""

import pytest

from pare_bench.conformance import check
from pare_bench.registry import Registry

REGISTRY = Registry.from_environment()
#: Their default parameters load weights from a hub; tests/unit builds them from local folders.
FROM_A_HUB = {("backbone", name) for name in ("hf_swin", "hf_text", "timm")}


def components():
    for kind in REGISTRY.kinds():
        for name in REGISTRY.names(kind):
            marks = [pytest.mark.weights] if (kind, name) in FROM_A_HUB else []
            yield pytest.param(kind, name, marks=marks, id=f"{kind}-{name}")


@pytest.mark.parametrize(("kind", "name"), components())
def test_conforms(kind, name):
    if (kind, name) in FROM_A_HUB:
        pytest.skip("its default weights come from a hub")
    assert check(REGISTRY, kind, name) == []
