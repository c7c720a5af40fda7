"""Checks of the components around the tokens: embedders and backbones."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pare_bench.conformance.doubles import ImageBody, TextBody
from pare_bench.conformance.reporting import class_problems, collect, far_apart, random_tensor, same_bytes, seeded
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.embedder import Embedder
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import InputShape

SHAPES = {
    "image": (InputShape(1, (16, 16)), InputShape(3, (40, 28)), InputShape(5, (9, 130))),
    "sequence": (InputShape(1, (16,)), InputShape(4, (257,)), InputShape(2, (1000,))),
    "table": (InputShape(2, (4,), table=True), InputShape(6, (37,), table=True), InputShape(9, (1,), table=True)),
}


def check_embedder(component: type[Embedder], params: Params | None = None, *, modality: str = "image") -> list[str]:
    """Return what keeps ``component`` from being an embedder of ``modality``: token counts and widths, gradients, inputs left alone."""
    return collect(_embedder(component, params, modality))


def _embedder(component: type[Embedder], params: Params | None, modality: str) -> Iterator[str]:
    faults = list(class_problems(component, Embedder))
    yield from faults
    if faults:
        return
    for shape in SHAPES[modality]:
        where = f"[{shape.channels} channels on {shape.grid}]"
        backbone: Backbone = ImageBody(Params()) if modality == "image" else TextBody(Params())
        before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
        with seeded(0):
            embedder = component(component.Params() if params is None else params, inputs=shape, backbone=backbone)
        yield from _embeds(embedder, backbone, random_tensor(3, shape.channels, *shape.grid), where)
        with torch.no_grad():
            for parameter in embedder.parameters():
                parameter.add_(1.0)
        if any(not same_bytes(before[name], weight) for name, weight in backbone.state_dict().items()):
            yield f"shares weights with the backbone: training it changes the pretrained embedder {where}"


def _embeds(embedder: Embedder, backbone: Backbone, inputs: Tensor, where: str) -> Iterator[str]:
    untouched = inputs.clone()
    with seeded(1):
        tokens = embedder(inputs)
    if tokens.shape != (3, embedder.num_tokens, backbone.dim) or tokens.dtype != inputs.dtype:
        yield f"tokens have shape {tuple(tokens.shape)}, promised are (3, num_tokens = {embedder.num_tokens}, dim = {backbone.dim}) {where}"
        return
    if math.prod(embedder.grid) != embedder.num_tokens:
        yield f"grid {embedder.grid} does not hold num_tokens = {embedder.num_tokens} {where}"
    if not bool(torch.isfinite(tokens).all()):
        yield f"tokens are not finite {where}"
    if not same_bytes(inputs, untouched):
        yield f"changes its input {where}"
    (backbone(tokens) * random_tensor(1, 1, backbone.feats, seed=2)).sum().backward()
    deaf = [name for name, weight in embedder.named_parameters() if weight.requires_grad and not _receives(weight)]
    if deaf:
        yield f"no finite gradient reaches {', '.join(deaf)} {where}"
    embedder.eval()
    if far_apart(embedder(inputs)[:1], embedder(inputs[:1])):
        yield f"examples of a batch influence each other in evaluation mode {where}"


def _receives(weight: Tensor) -> bool:
    return weight.grad is not None and bool(torch.isfinite(weight.grad).all()) and bool((weight.grad != 0).any())


def check_backbone(component: type[Backbone], params: Params | None = None, *, modality: str = "image") -> list[str]:
    """Return what keeps ``component`` from being a backbone of ``modality``.

    Raises:
        DataMissingError: its weights are not on this machine.
    """
    return collect(_backbone(component, params, modality))


def _backbone(component: type[Backbone], params: Params | None, modality: str) -> Iterator[str]:
    faults = list(class_problems(component, Backbone))
    yield from faults
    if faults:
        return
    chosen = component.Params() if params is None else params
    with seeded(0):
        body = component(chosen).eval()
    with seeded(1):
        twin = component(chosen).eval()
    digest = component.weights_digest(chosen)
    tokens = random_tensor(2, _num_tokens(body, modality), body.dim)
    with torch.no_grad():
        features = body(tokens)
        # Without weight files a body may be a random draw; with them, nothing of it may be.
        if digest and far_apart(features, twin(tokens)):
            yield "two builds from the same weight files differ: a part of it is drawn anew"
    places = math.prod(body.out_grid) if body.out_grid is not None else tokens.shape[1]
    if modality == "image" and (body.out_grid is None or len(body.grid) != 2 or len(body.out_grid) != 2):
        yield f"an image body needs 2-D grid and out_grid, has {body.grid} and {body.out_grid}"
    if features.shape != (2, places, body.feats):
        yield f"features have shape {tuple(features.shape)}, promised are (2, {places}, feats = {body.feats})"
        return
    if not bool(torch.isfinite(features).all()):
        yield "features are not finite"
    if far_apart(features[:1], body(tokens[:1]).detach()):
        yield "examples of a batch influence each other in evaluation mode"
    yield from _names(component, chosen, digest)
    yield from _source_embedding(body, modality)
    yield from _embedder_weights(body, modality)
    body.train()
    body(tokens).square().mean().backward()
    if not any(_receives(weight) for weight in body.parameters()):
        yield "no weight receives gradient"
    body.zero_grad()
    yield from _reinitialised(body.eval(), tokens, features)


def _names(component: type[Backbone], chosen: Params, digest: object) -> Iterator[str]:
    if not isinstance(digest, str) or digest != component.weights_digest(chosen):
        yield "weights_digest is not a string that stays the same"
    architecture = component.architecture_digest(chosen)
    if not isinstance(architecture, str) or architecture != component.architecture_digest(chosen):
        yield "architecture_digest is not a string that stays the same"
    tokenizer = component.tokenizer(chosen)
    if tokenizer is not None and not (isinstance(tokenizer, str) and tokenizer):
        yield f"tokenizer is {tokenizer!r}, neither the name of one nor None"


def _num_tokens(body: Backbone, modality: str) -> int:
    return math.prod(body.grid) if modality == "image" else min(12, body.grid[0])


def _source_embedding(body: Backbone, modality: str) -> Iterator[str]:
    if modality == "image":
        batches = [random_tensor(2, 3, *size).sigmoid() for size in ((32, 32), (48, 40))]
        counts = [math.prod(body.grid)] * 2
    else:
        batches = [torch.arange(2 * count).reshape(2, count) % 20 for count in (5, min(12, body.grid[0]))]
        counts = [batch.shape[1] for batch in batches]
    for batch, count in zip(batches, counts, strict=True):
        with torch.no_grad():
            tokens = body.embed_source(batch)
        if tokens.shape != (2, count, body.dim):
            yield f"embed_source gives shape {tuple(tokens.shape)}, promised are (2, {count}, dim = {body.dim})"
        elif not bool(torch.isfinite(tokens).all()):
            yield "embed_source gives values that are not finite"


def _embedder_weights(body: Backbone, modality: str) -> Iterator[str]:
    weights = body.embedder_weights()
    dim, patch = body.dim, body.patch_size
    expected: dict[str, tuple[int, ...]] = {"norm_weight": (dim,), "norm_bias": (dim,)}
    if modality == "image":
        expected |= {"weight": (dim, 3, patch, patch), "bias": (dim,)}
        if "position" in weights:
            expected["position"] = (math.prod(body.grid), dim)
    else:
        expected["position"] = (body.grid[0], dim)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    if shapes != expected:
        yield f"embedder_weights have shapes {shapes}, promised are {expected}"
    if any(weight.requires_grad for weight in weights.values()):
        yield "embedder_weights are attached to the backbone's graph"
    before = {name: weight.clone() for name, weight in body.state_dict().items()}
    for weight in weights.values():
        weight.detach().fill_(7.0)
    if any(not same_bytes(before[name], weight) for name, weight in body.state_dict().items()):
        yield "embedder_weights are not copies: writing into them changes the backbone"


def _reinitialised(body: Backbone, tokens: Tensor, features: Tensor) -> Iterator[str]:
    outputs = []
    for seed in (3, 3, 4):
        with seeded(seed), torch.no_grad():
            body.reinitialise()
            outputs.append(body(tokens))
    if not far_apart(outputs[0], features):
        yield "reinitialise leaves the outputs as they were"
    if not bool(torch.isfinite(outputs[0]).all()):
        yield "features are not finite after reinitialise"
    if far_apart(outputs[0], outputs[1]) or not far_apart(outputs[0], outputs[2]):
        yield "reinitialise does not follow torch's default generator"
