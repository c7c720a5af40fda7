"""Bodies, embedders and sources that do not fit a task are told in one line before anything is built."""

from __future__ import annotations

import pytest

from pare_bench.config.resolution import Request, resolve
from pare_bench.errors import UsageError
from pare_bench.registry.names import Registry

PLUGIN = """
import torch
from pare_bench import EmbedderSpec, hookimpl
from pare_bench.contracts.embedder import Embedder

@hookimpl
def pare_bench_embedders():
    yield EmbedderSpec(name="picture", summary="a sequence as a picture", target="plugin_of_picture:Picture", modality="sequence", tokens="image")
    yield EmbedderSpec(name="flat", summary="a picture as a sequence", target="plugin_of_picture:Picture", modality="image", tokens="sequence")

class Picture(Embedder):
    def __init__(self, params, *, inputs, backbone):
        super().__init__(params, inputs=inputs, backbone=backbone)

    def forward(self, inputs):
        raise NotImplementedError
"""
TEXT = "-o backbone=nano_text, -o backbone=hf_text, or --task with tasks of images alone"
IMAGE = "-o backbone=nano_swin, -o backbone=hf_swin, -o backbone=timm, or --task with tasks of sequences alone"
PROXIES = "-o source=conll2003 or -o source=conll2003_features or -o source=docstrings"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.from_environment()


def one(registry, task, *overrides, method="full_finetune", suite="nas360"):
    tier = registry.spec("task", task).offline_tier
    (config,) = resolve(registry, Request(method, suite, (task,), tier=tier, overrides=overrides))
    return config


@pytest.mark.parametrize(
    ("method", "task", "overrides", "message", "hint"),
    [
        *(
            (
                method,
                task,
                (f"backbone={body}",),
                f"backbone '{body}' takes tokens of images, embedder '{embedder}' of task '{task}' makes tokens of sequences",
                TEXT,
            )
            for method, task, embedder, body in (
                ("full_finetune", "ecg", "patch1d", "hf_swin"),
                ("orca", "satellite", "patch1d", "timm"),
                ("pare", "deepsea", "patch1d", "nano_swin"),
            )
        ),
        *(
            ("from_scratch", task, (f"backbone={body}",), f"backbone '{body}' takes tokens of sequences, embedder 'patch2d' of task '{task}'", IMAGE)
            for task, body in (("ninapro", "nano_text"), ("cosmic", "hf_text"))
        ),
        ("full_finetune", "ninapro", ("embedder=patch1d",), "embedder 'patch1d' takes sequences, task 'ninapro' has images", "-o embedder=patch2d"),
        (
            "full_finetune",
            "darcy_flow",
            ("embedder=tabular",),
            "embedder 'tabular' takes tables, task 'darcy_flow' has images",
            "-o embedder=patch2d",
        ),
        (
            "full_finetune",
            "ecg",
            ("embedder=patch2d", "backbone=nano_swin"),
            "embedder 'patch2d' takes images, task 'ecg' has sequences",
            "-o embedder=patch1d, -o embedder=tabular, or --task with tasks of images alone",
        ),
        ("pare", "ninapro", ("source=docstrings",), "source 'docstrings' has no images, which backbone 'nano_swin' embeds", "-o source=cifar10 or"),
        ("orca", "ninapro", ("source=ecg",), "source 'ecg' has no images, which backbone 'nano_swin' embeds", "-o source=cifar10 or"),
        ("pare", "ecg", ("source=fractals",), "source 'fractals' has no text, which backbone 'nano_text' embeds", PROXIES),
        ("orca", "ecg", ("source=ecg",), "source 'ecg' has no text, which backbone 'nano_text' embeds", PROXIES),
        ("pare", "cifar100", ("source=ninapro",), "source 'ninapro' has 1 channel, backbone 'nano_swin' embeds images of 3", "pare-bench list task"),
    ],
)
def test_what_does_not_fit_is_said(registry, method, task, overrides, message, hint):
    with pytest.raises(UsageError) as caught:
        one(registry, task, *overrides, method=method)
    assert str(caught.value).startswith(message)
    assert caught.value.hint.startswith(hint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "suite", "task", "overrides"),
    [
        ("full_finetune", "nas360", "cifar100", ("backbone=hf_swin",)),
        ("full_finetune", "nas360", "ecg", ("backbone=hf_text",)),
        ("full_finetune", "nas360", "ecg", ("embedder=tabular",)),
        ("full_finetune", "openml", "openml_54", ("embedder=patch1d",)),
        ("pare", "openml", "openml_54", ()),
        ("pare", "pdebench", "burgers", ()),
        ("pare", "nas360", "ninapro", ("source=cifar100",)),
        ("pare", "nas360", "ecg", ("source=conll2003_features",)),
        # Tokens that are embedded already: their width is checked where they are read.
        ("pare", "nas360", "ninapro", ("source=conll2003_features",)),
        ("hand_designed", "nas360", "ecg", ()),
    ],
)
def test_what_fits_is_resolved(registry, method, suite, task, overrides):
    assert one(registry, task, *overrides, method=method, suite=suite).task.name == task


def test_a_plugins_embedder_says_for_which_bodies_it_makes_tokens(install):
    install("picture", PLUGIN)
    registry = Registry.from_environment()
    assert one(registry, "ecg", "embedder=picture", "backbone=nano_swin").backbone.name == "nano_swin"
    assert one(registry, "ninapro", "embedder=flat", "backbone=nano_text").backbone.name == "nano_text"
    with pytest.raises(UsageError, match="embedder 'picture' of task 'ecg' makes tokens of images"):
        one(registry, "ecg", "embedder=picture")
    with pytest.raises(UsageError, match="source 'docstrings' has no images, which backbone 'nano_swin' embeds"):
        one(registry, "ecg", "embedder=picture", "backbone=nano_swin", method="pare")


def test_a_command_ends_before_anything_is_made(pare_bench, tmp_path):
    command = ("run", "--method", "full_finetune", "--task", "ecg", "--tier", "generated", "-o", "backbone=hf_swin")
    code, out, err = pare_bench(*command, "--out", str(tmp_path))
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: backbone 'hf_swin' takes tokens of images, embedder 'patch1d' of task 'ecg' makes tokens of sequences",
        f"hint: {TEXT}",
    ]
    assert not list(tmp_path.iterdir())
