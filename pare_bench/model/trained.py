"""Which weights of the body move: all, the norms, or all but the attention's queries and keys. Embedder and head always move."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from pare_bench.errors import UsageError

_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._BatchNorm)
#: Parts of a parameter's name that make it a query's or key's own: transformers' BERT, RoBERTa, Swin and ViT, and the usual others.
_QUERY_OR_KEY = frozenset({"query", "key", "q_proj", "k_proj", "to_q", "to_k", "q_lin", "k_lin", "q_bias", "k_bias", "q_norm", "k_norm"})
#: Names of joint projections whose first two thirds of rows are queries and keys: timm, torch.
_JOINT = frozenset({"qkv", "in_proj_weight", "in_proj_bias"})


def restrict(body: nn.Module, trained: Literal["all", "norms", "values"]) -> None:
    """Let only the ``trained`` weights of ``body`` move.

    ``values`` (the released code's ``Wv``: everything but query and key) freezes separate query and key projections. Where one projection holds
    queries, keys and values (timm), its rows of queries and keys are held: their gradient is zeroed and every optimiser step leaves them as they are.

    Raises:
        UsageError: the body has no weights of that kind.
    """
    if trained == "all":
        return
    found = _norms_only(body) if trained == "norms" else _without_queries_and_keys(body)
    if not found:
        what = "norms" if trained == "norms" else "queries and keys"
        raise UsageError(f"recipe.trained = {trained}: no {what} were found in the body '{type(body).__name__}'", hint="-o recipe.trained=all")


def held_rows(parameter: nn.Parameter) -> slice | None:
    """Return the rows of ``parameter`` that must not move, None where it is free."""
    return getattr(parameter, "held_rows", None)


def _norms_only(body: nn.Module) -> bool:
    body.requires_grad_(False)
    norms = [parameter for module in body.modules() if isinstance(module, _NORMS) for parameter in module.parameters(recurse=False)]
    for parameter in norms:
        parameter.requires_grad_(True)
    return bool(norms)


def _without_queries_and_keys(body: nn.Module) -> bool:
    found = False
    for name, parameter in body.named_parameters():
        words = set(name.split("."))
        if words & _QUERY_OR_KEY:
            parameter.requires_grad_(False)
            found = True
        elif words & _JOINT:
            _hold(parameter, slice(0, len(parameter) * 2 // 3))
            found = True
    return found


def _hold(parameter: nn.Parameter, rows: slice) -> None:
    def without_rows(gradient: Tensor) -> Tensor:
        masked = gradient.clone()
        masked[rows] = 0
        return masked

    parameter.register_hook(without_rows)
    parameter.held_rows = rows  # type: ignore[attr-defined]
