"""Every registered component, whoever registers it, must conform: a contributor adds a component and writes no test for it."""

import pytest

from pare_bench.conformance import check
from pare_bench.errors import DataMissingError
from pare_bench.registry.names import Registry

REGISTRY = Registry.from_environment()
#: Without network: the published sizes with random weights, and a small architecture of timm. Loading files is tested in tests/builtin.
PARAMS = {
    ("backbone", "hf_swin"): {"pretrained": False},
    ("backbone", "hf_text"): {"pretrained": False},
    ("backbone", "timm"): {"model": "vit_tiny_patch16_224"},
}
#: PDEBench on its smallest grids: what a finer one adds is time.
PARAMS |= {("task", name): {"points": 64} for name in ("advection", "burgers", "diffusion_reaction_1d", "diffusion_sorption", "navier_stokes_1d")}
PARAMS |= {("task", name): {"points": 32} for name in ("darcy_2d", "shallow_water", "diffusion_reaction_2d", "navier_stokes_2d")}
SLOW = {("backbone", "hf_swin"), ("backbone", "hf_text"), ("task", "darcy_flow")}


def components():
    for kind in REGISTRY.kinds():
        for name in REGISTRY.names(kind):
            yield pytest.param(kind, name, marks=[pytest.mark.slow] if (kind, name) in SLOW else [], id=f"{kind}-{name}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("kind", "name"), list(components()))
def test_conforms(kind, name):
    try:
        problems = check(REGISTRY, kind, name, PARAMS.get((kind, name)))
    except DataMissingError as error:
        # Only what has published files alone may need some; tests/builtin checks it on small files of that form.
        assert kind == "task"
        assert "generated" not in REGISTRY.spec(kind, name).tiers
        pytest.skip(str(error))
    assert problems == []
