"""How precisely a run computes: as its configuration says, whatever the process or its environment was set to before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from pare_bench.errors import EnvironmentFault

#: Variables that lower the precision of float32 below torch, where nothing here can undo it, with the values that do not.
_LOWERING: Mapping[str, tuple[str, ...]] = {
    "NVIDIA_TF32_OVERRIDE": ("", "0"),
    "ONEDNN_DEFAULT_FPMATH_MODE": ("", "STRICT"),
    "DNNL_DEFAULT_FPMATH_MODE": ("", "STRICT"),
}
#: Variables that move numbers by rounding alone; they are recorded.
_RECORDED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_CBWR", "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG")


@contextmanager
def pinned() -> Iterator[None]:
    """Inside, float32 means float32: what a library or a variable has set for the whole process is put aside, and is there again afterwards.

    Raises:
        EnvironmentFault: a variable lowers the precision where it cannot be put aside.
    """
    for name, harmless in _LOWERING.items():
        value = os.environ.get(name, "")
        if value.upper() not in harmless:
            raise EnvironmentFault(f"{name}={value} lowers the precision of float32 for everything", hint=f"unset {name}; -o precision=bfloat16 asks")
    matmul, dtype = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    torch.set_float32_matmul_precision("highest")
    torch.set_default_dtype(torch.float32)
    # As torch comes: convolutions on a GPU may use TF32.
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = True, False, False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.set_default_dtype(dtype)
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


def numerics() -> dict[str, str]:
    """Return what numbers depend on beside the configuration, as it is now: settings of torch, and variables that move the last bits."""
    settings = {
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_allow_tf32": str(torch.backends.cudnn.allow_tf32).lower(),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()).lower(),
    }
    return settings | {name: os.environ[name] for name in _RECORDED if name in os.environ}
