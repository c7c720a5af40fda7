"""The state of the process that numbers depend on: as the configuration says during a run, and afterwards as it was before."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
import torch

from pare_bench.errors import EnvironmentFault

#: Variables that lower the precision of float32 below torch, where nothing here can undo it, with the values that do not.
_LOWERING: Mapping[str, tuple[str, ...]] = {
    "NVIDIA_TF32_OVERRIDE": ("", "0"),
    "ONEDNN_DEFAULT_FPMATH_MODE": ("", "STRICT"),
    "DNNL_DEFAULT_FPMATH_MODE": ("", "STRICT"),
}
#: Kinds of settings that are written only where they have changed; states of generators are arrays.
_COMPARED = (str, int, dict, list, type(None), torch.dtype, torch.device)
#: Variables that move numbers by rounding alone; they are recorded.
_RECORDED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_CBWR", "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG")


@contextmanager
def pinned() -> Iterator[None]:
    """Inside, float32 means float32, gradients are on, autocast is off: whatever a library or an earlier run has set for the whole process.

    Afterwards everything is as it was: what a run sets stays in the run. That goes for random generators, environment variables, warnings and the
    current folder, too.

    Raises:
        EnvironmentFault: a variable lowers the precision where it cannot be put aside.
    """
    for name, harmless in _LOWERING.items():
        value = os.environ.get(name, "")
        if value.upper() not in harmless:
            raise EnvironmentFault(f"{name}={value} lowers the precision of float32 for everything", hint=f"unset {name}; -o precision=bfloat16 asks")
    with ExitStack() as stack:
        for read, write, plain in _settings():
            _keep(stack, read, write, plain)
        _keep_draws(stack)
        stack.callback(_restore_environment, dict(os.environ))
        stack.enter_context(warnings.catch_warnings())
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, code that is no part of a run may draw and set what it likes; afterwards the run goes on as if it had not been called.

    That goes for all that :func:`pinned` pins, for generators, the current folder, filters of warnings, numpy's handling of errors and the number of
    threads. Environment variables stay: they are how libraries of such code are told what to do.
    """
    with ExitStack() as stack:
        for read, write, _ in _settings():
            _keep(stack, read, write)
        _keep_draws(stack)
        if torch.cuda.is_initialized():
            _keep(stack, torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)
        _keep(stack, np.geterr, lambda kept: np.seterr(**kept))
        _keep(stack, torch.get_num_threads, torch.set_num_threads)
        _keep(stack, lambda: list(warnings.filters), _set_filters)
        yield


def _settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], Any], Any]]:
    """Yield how each setting of torch that moves numbers is read and written, and what it is in a run."""
    yield torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"
    yield torch.get_default_dtype, torch.set_default_dtype, torch.float32
    yield torch.is_grad_enabled, torch.set_grad_enabled, True
    yield torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, False
    yield _default_device, _set_default_device, None
    for device in ("cpu", "cuda"):
        yield partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device), False
    # As torch comes: convolutions on a GPU may use TF32.
    for flag, plain in (("allow_tf32", True), ("benchmark", False), ("deterministic", False)):
        yield partial(getattr, torch.backends.cudnn, flag), partial(setattr, torch.backends.cudnn, flag), plain


def _keep_draws(stack: ExitStack) -> None:
    """Keep the generators, and the current folder."""
    _keep(stack, torch.get_rng_state, torch.set_rng_state)
    _keep(stack, random.getstate, random.setstate)
    _keep(stack, np.random.get_state, np.random.set_state)
    _keep(stack, os.getcwd, os.chdir)


def _set_filters(before: list[Any]) -> None:
    # Forgets what has been warned of already, so that the filters count from here on.
    warnings.resetwarnings()
    warnings.filters[:] = before  # type: ignore[index]


def numerics() -> dict[str, str]:
    """Return what numbers depend on beside the configuration, as it is now: settings of torch, and variables that move the last bits."""
    settings = {
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_allow_tf32": str(torch.backends.cudnn.allow_tf32).lower(),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()).lower(),
    }
    return settings | {name: os.environ[name] for name in _RECORDED if name in os.environ}


def _keep(stack: ExitStack, read: Callable[[], Any], write: Callable[[Any], Any], *plain: Any) -> None:
    """Set something to its ``plain`` value, where there is one, and to what it is now when ``stack`` ends."""
    before = read()
    stack.callback(_put_back, read, write, before)
    if plain and before != plain[0]:
        write(plain[0])


def _put_back(read: Callable[[], Any], write: Callable[[Any], Any], before: Any) -> None:
    # The folder that was current may be gone by now; what nobody has changed is left alone.
    with suppress(OSError):
        now = read()
        if not (isinstance(now, _COMPARED) and type(now) is type(before) and now == before):
            write(before)


def _default_device() -> torch.device | None:
    device = torch.get_default_device()
    # Without a device of its own, torch makes tensors on the CPU, and faster than when it is told to.
    return None if device == torch.device("cpu") else device


def _set_default_device(device: torch.device | None) -> None:
    torch.set_default_device(device)
    try:
        torch.get_default_device()
    except AttributeError:
        # torch 2.6 cannot say what it is once it has been set to none.
        torch.set_default_device("cpu")


def _restore_environment(before: Mapping[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
