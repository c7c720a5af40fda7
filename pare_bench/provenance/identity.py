"""What makes a run the run it is: configuration, code, data, weights and the libraries that can move a number, each kept apart.

Neither the environment (machine, number of processes, Python, other libraries) nor comments, formatting or the names of plugins enter.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from functools import cache

from pare_bench.code.digest import CORE, module_digests, outside_packages, with_imports
from pare_bench.config.run_config import SLOTS, RunConfig
from pare_bench.records.record import IdentityRecord
from pare_bench.registry.names import Registry

#: Packages that carry configuration, messages and files about; their versions never count.
NEUTRAL = frozenset(
    {
        "filelock", "fsspec", "h5py", "huggingface_hub", "jaxtyping", "joblib", "beartype", "packaging", "platformdirs", "pluggy", "pooch", "psutil",
        "pydantic", "requests", "rich", "safetensors", "tqdm", "typer", "typing_extensions", "urllib3",
    }
)  # fmt: skip
#: Parts of a version that count; two (1.26.4 counts as 1.26) where nothing else stands here. NumPy keeps its numbers within a major version.
COUNTED_PARTS: Mapping[str, int] = {"numpy": 1, "PIL": 1}
DEFAULT_PARTS = 2
#: Distributions that go by another name than their package; looking through all that is installed takes longer.
_DISTRIBUTIONS: Mapping[str, str] = {"sklearn": "scikit-learn", "skimage": "scikit-image", "ot": "POT", "PIL": "pillow"}
#: Every run is carried out by these, whatever its components import.
ALWAYS = frozenset({"torch", "numpy"})


def component_modules(registry: Registry, config: RunConfig) -> list[str]:
    """Return the modules in which the method, the task and the filled slots of a run stand."""
    named = [("method", config.method.name), ("task", config.task.name), *((SLOTS[slot], chosen.name) for slot, chosen in config.slots().items())]
    return [registry.spec(kind, name).target.partition(":")[0] for kind, name in named]


def code_of(registry: Registry, config: RunConfig) -> dict[str, str]:
    """Return the digest of every module that the run's numbers depend on; no module is imported.

    Raises:
        UnknownNameError: a component of the run is not registered here.
    """
    return module_digests(with_imports([*CORE, *component_modules(registry, config)]))


def libraries_of(modules: Iterable[str]) -> dict[str, str]:
    """Return the versions that count of the libraries that ``modules`` import, under the names they are imported by.

    What only readers and simulators of data import is left out: the digest of the data speaks for it.
    """
    code = [module for module in modules if not module.startswith(("pare_bench.datasets", "pare_bench.simulators"))]
    versions = {name: _version(name) for name in (outside_packages(code) | ALWAYS) - NEUTRAL}
    return {name: counted_version(name, version) for name, version in sorted(versions.items()) if version is not None}


def counted_version(library: str, version: str) -> str:
    """Return the part of a version that counts: ``2.6.1+cu124`` of torch counts as ``2.6``."""
    return ".".join(version.partition("+")[0].split(".")[: COUNTED_PARTS.get(library, DEFAULT_PARTS)])


def identity_of(registry: Registry, config: RunConfig, *, data: str, source: str | None, weights: str | None) -> IdentityRecord:
    """Return the identity of a run on these data, with the code and libraries that are here now."""
    code = code_of(registry, config)
    return IdentityRecord(config=config.digest(), code=code, data=data, source=source, weights=weights, libraries=libraries_of(code))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        names = _distributions().get(package, [])
        return importlib.metadata.version(names[0]) if names else None


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
