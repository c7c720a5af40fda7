"""How checks report: each check is a generator of problems, and an exception inside it is a problem too."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pare_bench.contracts.params import Params
from pare_bench.errors import DataMissingError, EnvironmentFault, OfflineError


def collect(checks: Iterable[str]) -> list[str]:
    """Return the problems that ``checks`` yields, each kind once.

    The text before " [" is the kind of a problem, the bracket says where it was seen; a selector that is wrong at every k is wrong once.

    Raises:
        DataMissingError: the component needs files that this machine does not have, so it cannot be checked here.
        OfflineError: these are files of a hub, which was not to be asked.
        EnvironmentFault: the machine cannot run the check.
    """
    found: dict[str, str] = {}
    try:
        for problem in checks:
            found.setdefault(problem.partition(" [")[0], problem)
    except (DataMissingError, EnvironmentFault):
        raise
    except Exception as error:  # foreign code may fail in any way; that it does is the finding
        if _lacked_a_hub(error):
            raise OfflineError(f"needs files of a hub that was not asked: {' '.join(str(error).split())}") from error
        place = traceback.extract_tb(error.__traceback__)[-1]
        found["raises"] = f"raises {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
    return list(found.values())


def _lacked_a_hub(error: BaseException) -> bool:
    """Return whether it was the hub's client that found no file on this machine and might not ask for it, whoever made what of that."""
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__module__.startswith("huggingface_hub.") and type(seen).__name__ in ("OfflineModeIsEnabled", "LocalEntryNotFoundError"):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def class_problems(component: object, contract: type[Any]) -> Iterator[str]:
    """Yield what is wrong with the class itself: not a subclass of its contract, abstract, or ``Params`` that are none."""
    if not (isinstance(component, type) and issubclass(component, contract)):
        yield f"is not a subclass of {contract.__module__}.{contract.__name__}"
        return
    missing = sorted(getattr(component, "__abstractmethods__", ()))
    if missing:
        yield f"does not implement {', '.join(missing)}"
    params = getattr(component, "Params", None)
    if not (isinstance(params, type) and issubclass(params, Params)):
        yield "its Params is not a subclass of pare_bench.Params"


def version_problems(component: type[Any]) -> Iterator[str]:
    """Yield what keeps the ``version`` of a task or method, by which its scores are told apart from earlier ones, from being one."""
    version = component.version
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        yield f"version is {version!r}, not an integer from 1"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's default generator inside the block and put it back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def random_tensor(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return standard normal numbers of ``shape`` from a generator of its own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def same_bytes(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors agree in type, shape and every value."""
    return first.dtype == second.dtype and first.shape == second.shape and torch.equal(first, second)


def far_apart(first: Tensor, second: Tensor, tolerance: float = 1e-4) -> bool:
    """Return whether two outputs differ by more than rounding, relative to the larger one."""
    if first.shape != second.shape:
        return True
    scale = max(1e-6, float(first.detach().abs().max()), float(second.detach().abs().max())) if first.numel() else 1.0
    return bool(((first - second).detach().abs() > tolerance * scale).any())
