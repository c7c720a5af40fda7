"""Source text embedded beforehand with any text backbone, as ORCA's published features were with RoBERTa-base."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
import transformers

from pare_bench.config.body import TOKENIZER, body_tokenizer
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.params import as_json
from pare_bench.contracts.task import Split, Task, TaskSize
from pare_bench.datasets.cache import Data, generated_data
from pare_bench.datasets.official import official_data
from pare_bench.datasets.token_file import TokenFile
from pare_bench.errors import UsageError
from pare_bench.model.device import present
from pare_bench.registry.names import Registry
from pare_bench.registry.versions import __version__

Layer = Literal["embedding", "last"]


@dataclass(frozen=True)
class TokenRequest:
    """Which text is embedded with what.

    ``layer`` ``"embedding"``: the embedding layer's output (word, position and type, normalised), which is what takes the place of target tokens
    in front of the body; ``"last"``: the last hidden states. Padding is treated like any other token. ``examples`` None takes 5,000 of a
    published proxy and the size of preset ``cpu`` of a generated one.
    """

    task: str
    backbone: str
    backbone_params: Mapping[str, Any] = field(default_factory=dict)
    layer: Layer = "embedding"
    examples: int | None = None
    batch_size: int = 64
    device: str = "cpu"


@dataclass(frozen=True)
class Preparation:
    """Text and body of a request, loaded and checked: what is left is to compute."""

    request: TokenRequest
    task: Task
    data: Data
    backbone: Backbone
    provenance: dict[str, str]


def prepare_tokens(registry: Registry, request: TokenRequest) -> Preparation:
    """Load text and backbone; the text is tokenised with the backbone's own tokenizer.

    Raises:
        UsageError: the task is no text proxy, or the backbone takes no text.
        DataMissingError: text, weights or tokenizer are not there.
        EnvironmentFault: the device is not there.
    """
    spec = registry.spec("task", request.task)
    task_class: type[Task] = registry.component("task", request.task)
    if spec.modality != "sequence" or not spec.proxy or task_class.embedded:
        raise UsageError(f"task '{request.task}' is no text to embed", hint="--task conll2003 or --task docstrings")
    if registry.spec("backbone", request.backbone).modality != "sequence":
        raise UsageError(f"backbone '{request.backbone}' takes no text", hint="--backbone nano_text, or --backbone hf_text -o model=NAME")
    present(request.device)
    params = registry.params("backbone", request.backbone, request.backbone_params)
    fields = task_class.Params.model_fields
    values: dict[str, Any] = {}
    if TOKENIZER in fields:
        values[TOKENIZER] = body_tokenizer(registry, request.backbone, params)
        if values[TOKENIZER] is None:
            raise UsageError(f"backbone '{request.backbone}' names no tokenizer", hint=f"pare-bench check backbone:{request.backbone}")
    if "generated" not in spec.tiers and request.examples is not None:
        values["max_samples"] = request.examples
    task: Task = registry.build("task", request.task, values)
    data = _text(task, spec.tiers, request.examples)
    backbone: Backbone = registry.build("backbone", request.backbone, request.backbone_params)
    provenance = {
        "task": f"{task.name} version {task.version}",
        "task_params": json.dumps(as_json(task.params)),
        "data_sha256": data.sha256,
        "backbone": request.backbone,
        "backbone_params": json.dumps(as_json(params), sort_keys=True),
        "weights_sha256": type(backbone).weights_digest(params),
        "architecture_sha256": type(backbone).architecture_digest(params),
        "layer": request.layer,
        "made_by": f"pare-bench {__version__}, torch {torch.__version__}, transformers {transformers.__version__}",
    }
    return Preparation(request, task, data, backbone, provenance)


def _text(task: Task, tiers: tuple[str, ...], examples: int | None) -> Data:
    if "generated" not in tiers:
        return official_data(task)
    count = task.sizes["cpu"].train if examples is None else examples
    return generated_data(task, 0, TaskSize(count, 1, 1))


def embed_tokens(prepared: Preparation, advance: Callable[[int], None]) -> TokenFile:
    """Embed the training examples, in their order; ``advance`` is told how many are done after each batch."""
    request, train = prepared.request, prepared.data.splits.train
    backbone = prepared.backbone.to(request.device).eval()
    width = backbone.dim if request.layer == "embedding" else backbone.feats
    tokens = np.empty((len(train), *prepared.task.inputs.grid, width), np.float32)
    with torch.no_grad():
        for start in range(0, len(train), request.batch_size):
            part = slice(start, min(start + request.batch_size, len(train)))
            embedded = backbone.embed_source(_ids(train, part).to(request.device))
            tokens[part] = (embedded if request.layer == "embedding" else backbone(embedded)).float().cpu().numpy()
            advance(part.stop - part.start)
    classes = getattr(prepared.task.target, "num", 0)
    return TokenFile(tokens, np.asarray(train.targets, np.int64), classes, prepared.provenance)


def _ids(split: Split, part: slice) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(split.inputs[part]))
