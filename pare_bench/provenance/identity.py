"""What makes a run the run it is: configuration, code, data, weights and the libraries that can move a number, each kept apart.

docs/records.md lists what enters, what does not, and why. Neither the environment (machine, threads, number of processes, Python, other libraries)
nor comments, formatting, names and places of modules, or what plugins say when they register enters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pare_bench.config.run_config import SLOTS, RunConfig
from pare_bench.digests.closure import Closure, Code
from pare_bench.records.record import IdentityRecord
from pare_bench.registry import session
from pare_bench.registry.names import Registry
from pare_bench.registry.specs import Spec

#: Modules of ours that every score depends on.
CORE = (
    "pare_bench.contracts.task",
    "pare_bench.metrics",
    "pare_bench.model.heads",
    "pare_bench.model.losses",
    "pare_bench.model.network",
    "pare_bench.scoring.scores",
    "pare_bench.seeds",
    "pare_bench.training.context",
    "pare_bench.training.loop",
    "pare_bench.training.numerics",
)
#: Rooms that only read and simulate data: the digest of the data speaks for the libraries that they alone import.
_DATA_ROOMS = ("pare_bench.datasets", "pare_bench.simulators")
#: Packages that carry configuration, messages and files about; their versions never count.
NEUTRAL = frozenset(
    {
        "filelock", "fsspec", "h5py", "huggingface_hub", "jaxtyping", "joblib", "beartype", "packaging", "platformdirs", "pluggy", "pooch", "psutil",
        "pydantic", "pydantic_core", "requests", "rich", "safetensors", "tqdm", "typer", "typing_extensions", "urllib3",
    }
)  # fmt: skip
#: Parts of a version that count, of libraries we know: 2.14.1 of torch counts as 2.14. NumPy and Pillow keep their numbers within a major version.
COUNTED_PARTS: Mapping[str, int] = {
    **dict.fromkeys(("accelerate", "lightgbm", "ot", "scipy", "skimage", "sklearn", "timm", "torch", "torchvision", "transformers", "xgboost"), 2),
    **dict.fromkeys(("catboost", "autogluon", "tabpfn", "torchaudio", "tokenizers", "pandas"), 2),
    **dict.fromkeys(("numpy", "PIL"), 1),
}
#: Every run is carried out by these, whatever its components import.
ALWAYS = ("torch", "numpy")


def components_of(config: RunConfig) -> tuple[tuple[str, str], ...]:
    """Return what a run is made of: ``method``, ``task`` and the slots that are filled, each with a name."""
    return ("method", config.method.name), ("task", config.task.name), *((slot, chosen.name) for slot, chosen in config.slots().items())


def of_session(config: RunConfig) -> tuple[str, ...]:
    """Return the components of a run that this process alone knows: ``"selector 'margin'"``."""
    parts = ((SLOTS.get(slot, slot), name) for slot, name in components_of(config))
    return tuple(f"{kind} '{name}'" for kind, name in dict.fromkeys(parts) if session.has(kind, name))


def specs_of(registry: Registry, components: Iterable[tuple[str, str]]) -> list[Spec]:
    """Return how the components of a run are registered.

    Raises:
        UnknownNameError: a component of the run is not registered here.
    """
    return [registry.spec(SLOTS.get(slot, slot), name) for slot, name in components]


def targets_of(registry: Registry, components: Iterable[tuple[str, str]]) -> list[str]:
    """Return the classes behind the components of a run, as ``"module:Class"``.

    Raises:
        UnknownNameError: a component of the run is not registered here.
    """
    return [spec.target for spec in specs_of(registry, components)]


def closure_of(registry: Registry, components: Iterable[tuple[str, str]]) -> Closure:
    """Return the code that the numbers of a run of ``components`` depend on; no module is imported.

    Raises:
        UnknownNameError: a component of the run is not registered here.
    """
    return registry.code.closure([*CORE, *targets_of(registry, components)])


def libraries_of(code: Code, closure: Closure) -> dict[str, str]:
    """Return the versions that count of the installed distributions that ``closure`` imports, under the names they are imported by.

    What only readers and simulators of data import is left out, and so are packages that touch no number. Of a library that we do not know the
    whole version counts.
    """
    found = {}
    for library, version in closure.libraries.items():
        importers = closure.imported.get(library, frozenset())
        for_data = bool(importers) and all(module.startswith(_DATA_ROOMS) for module in importers)
        if library not in NEUTRAL and not for_data:
            found[library] = version
    found |= {library: owner.version for library in ALWAYS for owner in code.owners(library)}
    return {library: counted_version(library, version) for library, version in sorted(found.items())}


def counted_version(library: str, version: str) -> str:
    """Return the part of a version that counts: ``2.6.1+cu124`` of torch counts as ``2.6``."""
    parts = COUNTED_PARTS.get(library)
    return version if parts is None else ".".join(version.partition("+")[0].split(".")[:parts])


def identity_of(
    registry: Registry, config: RunConfig, *, data: str, source: str | None, weights: str | None, architecture: str | None
) -> IdentityRecord:
    """Return the identity of a run on these data, with the code and libraries that are here now."""
    closure = closure_of(registry, components_of(config))
    return IdentityRecord(
        config=config.digest(),
        code=dict(closure.code),
        wiring=closure.wiring,
        data=data,
        source=source,
        weights=weights,
        architecture=architecture,
        libraries=libraries_of(registry.code, closure),
    )


def same_but_libraries(stored: IdentityRecord, now: IdentityRecord) -> bool:
    """Return whether two runs differ in versions of libraries at most."""

    def rest(identity: IdentityRecord) -> tuple[str | None, ...]:
        return identity.config, identity.code_sha256, identity.data, identity.source, identity.weights, identity.architecture

    return (stored.wiring is None) == (now.wiring is None) and rest(stored) == rest(now)
