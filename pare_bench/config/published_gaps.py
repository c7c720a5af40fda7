"""What preset ``paper`` needs for PaRe where PaRe has released no configuration (tables, PDEBench): choices of ours, each with its reason.

Entries are (path that ``-o`` takes, value, reason).
"""

from __future__ import annotations

from typing import Any

Gap = tuple[str, Any, str]

_TABLES = "ours: PaRe has no released configuration for tables"
_FIELDS = "ours: PaRe has no released configuration for PDEBench"
#: Tokens that the released sequences replace at most.
_REPLACED = 32


def pare_on_tables() -> tuple[Gap, ...]:
    """Return gate and mixing of sequences: half of the tokens at the beginning, none at the end."""
    return (
        ("selector", "gate_gumbel", _TABLES),
        ("selector.learning_share", 1 / 3, _TABLES),
        ("mixer", "patch_replace", _TABLES),
        ("mixer.begin", 0.5, _TABLES),
        ("mixer.end", 0.0, _TABLES),
    )


def pare_on_fields(*, image: bool, tokens: int, epochs: int) -> tuple[Gap, ...]:
    """Return gate, mixing and weight for a field with ``tokens`` tokens, taken over from the released configurations of the same kind.

    Images are mixed as in PaRe's Darcy flow (1000 of 3136 tokens, falling by 500 over the run; gate for 10 epochs; weight 0.3), sequences as in
    its sequence tasks (32 tokens, or all where there are fewer, falling to none; gate for 5 epochs; weight 0.1).
    """
    if image:
        begin, end, gated, weight, of = 1000, 500, 10, 0.3, "of Darcy flow"
    else:
        begin, end, gated, weight, of = min(_REPLACED, tokens), 0, 5, 0.1, "of its sequence tasks"
    return (
        ("selector", "gate_gumbel", f"{_FIELDS}; the released gate"),
        ("selector.temperature", 0.9, f"{_FIELDS}; gumbel_tau of the released code"),
        ("selector.learning_share", gated / epochs, f"{_FIELDS}; {gated} epochs of {epochs} as in the configurations {of}"),
        ("mixer", "patch_replace", f"{_FIELDS}; the released mixing"),
        ("mixer.curriculum", "linear", f"{_FIELDS}; k(epoch) = int(begin - drop * epoch / epochs)"),
        ("mixer.begin", begin / tokens, f"{_FIELDS}; {begin} of {tokens} tokens as in the configurations {of}"),
        ("mixer.end", end / tokens, f"{_FIELDS}; {end} of {tokens} tokens as in the configurations {of}"),
        ("method.auxiliary_weight", weight, f"{_FIELDS}; a constant of the script {of}"),
    )
