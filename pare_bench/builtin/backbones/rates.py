"""At which learning rate a body from outside can be fine-tuned, by the number of its weights.

The rule is one line through three points: 1e-3 for bodies of up to a million weights (the bundled ones), 2e-4 for 22 million (measured: at 1e-3
a ViT-S is destroyed), 1e-4 for the 88 million of Swin-B (published for CIFAR-100, Spherical and NinaPro by PaRe and ORCA).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from accelerate import init_empty_weights
from torch import nn

from pare_bench.builtin.backbones.language import HuggingFaceText
from pare_bench.builtin.backbones.swin import HuggingFaceSwin
from pare_bench.builtin.backbones.vision_transformer import TimmVision

#: Rate of small bodies, and up to how many weights a body is small.
RATE, SMALL = 1e-3, 1_000_000


def rate_for(weights: int) -> float:
    """Return the rate for a body of so many weights: ``RATE``, falling with the root of their number above ``SMALL``, to one digit."""
    rate = RATE * min(1.0, math.sqrt(SMALL / max(weights, 1)))
    return float(f"{rate:.0e}")


def count_weights(build: Callable[[], nn.Module]) -> int:
    """Return how many weights the network has that ``build`` returns; there need not be room for them."""
    with torch.random.fork_rng(devices=[]), init_empty_weights():
        return sum(parameter.numel() for parameter in build().parameters())


def of_swin(params: HuggingFaceSwin.Params) -> float:
    """Return the rate for a Swin of transformers; its weights are not read.

    Raises:
        DataMissingError: its configuration is neither on this machine nor to be had from the hub.
        UsageError: the model is not a Swin.
    """
    return rate_for(count_weights(lambda: HuggingFaceSwin(params.model_copy(update={"pretrained": False}))))


def of_text(params: HuggingFaceText.Params) -> float:
    """Return the rate for a text encoder of transformers; its weights are not read.

    Raises:
        DataMissingError: its configuration is neither on this machine nor to be had from the hub.
        UsageError: the model is not BERT- or RoBERTa-like.
    """
    return rate_for(count_weights(lambda: HuggingFaceText(params.model_copy(update={"pretrained": False}))))


def of_timm(params: TimmVision.Params) -> float:
    """Return the rate for an architecture of timm; its weights are not read.

    Raises:
        UsageError: the architecture is not a Swin or plain ViT, or not known to timm.
    """
    return rate_for(count_weights(lambda: TimmVision(params.model_copy(update={"weights": None}))))
