"""``pare-bench data build-source``: embed source text once with a text backbone, for methods that take precomputed tokens."""

from __future__ import annotations

import re
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pare_bench.cli import output
from pare_bench.cli.device import checked_device
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.cli.progress import counted
from pare_bench.errors import UsageError

#: The task that reads the file; files without a folder of their own go below its folder in the data root.
READER = "conll2003_features"


class LayerName(StrEnum):
    """Layers whose output can be kept."""

    EMBEDDING = "embedding"
    LAST = "last"


def build_source_command(
    backbone: Annotated[str, typer.Option("--backbone", "-b", help="Text backbone: pare-bench list backbone.")] = "nano_text",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="NAME=VALUE", help="A parameter of the backbone, for example -o model=roberta-base.")
    ] = None,
    task: Annotated[str, typer.Option("--task", "-t", help="Text: conll2003 (official files) or docstrings.")] = "conll2003",
    layer: Annotated[
        LayerName, typer.Option(help="embedding: what the body takes as tokens; last: its last hidden states. The released features say neither.")
    ] = LayerName.EMBEDDING,
    examples: Annotated[int | None, typer.Option(min=1, help="Most examples. Default: 5000, of docstrings 2000.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples embedded at once.")] = 64,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or mps (untested).")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="File to write; default: below the data folder.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")] = False,
    format: FormatOption = None,  # noqa: A002
) -> None:
    """Embed source text with a text backbone and keep the tokens in a file for the source conll2003_features."""
    params = _backbone_params(option or [])
    checked_device(device)
    from pare_bench.datasets.official import data_root

    path = out if out is not None else data_root() / READER / f"{_slug(task, params.get('model', backbone), layer)}.safetensors"
    if path.exists() and not replace:
        raise UsageError(f"'{path}' is there already", hint="--replace writes over it, --out FILE writes another one")
    from pare_bench.datasets.token_file import write_tokens
    from pare_bench.model.source_tokens import TokenRequest, embed_tokens, prepare_tokens
    from pare_bench.registry.names import Registry

    began = time.monotonic()
    request = TokenRequest(task, backbone, params, layer.value, examples, batch_size, device)
    prepared = prepare_tokens(Registry.from_environment(), request)
    with counted(len(prepared.data.splits.train), f"{task} with {params.get('model', backbone)}") as advance:
        content = embed_tokens(prepared, advance)
    digest = write_tokens(path, content)
    count, length, width = content.tokens.shape
    facts: dict[str, Any] = {
        "path": str(path.resolve()),
        "sha256": digest,
        "examples": count,
        "tokens": length,
        "width": width,
        "classes": content.num_classes,
        "seconds": round(time.monotonic() - began, 3),
        **content.provenance,
    }
    if format is ListFormat.JSON:
        output.write_json(facts)
    elif format is ListFormat.MD or (format is None and not output.stdout_is_terminal()):
        output.write(output.markdown_table(("field", "value"), [(key, str(value)) for key, value in facts.items()]))
    else:
        output.render(output.rich_table(("field", "value"), [(key, str(value)) for key, value in facts.items()]))
    output.note(f"use it: pare-bench run ... -o source={READER} -o source.path={path.resolve()}")


def _backbone_params(pairs: list[str]) -> dict[str, Any]:
    """Return ``-o`` options as parameters of the backbone; ``backbone.model=...``, as ``run`` writes it, is understood, too.

    Raises:
        UsageError: a path is not one name.
    """
    from pare_bench.config.run_config import parse_overrides

    params: dict[str, Any] = {}
    for path, value in parse_overrides(pairs):
        names = path[1:] if len(path) > 1 and path[0] == "backbone" else path
        if len(names) != 1:
            raise UsageError(f"option -o has unknown path '{'.'.join(path)}'", hint="it takes parameters of the backbone: -o model=roberta-base")
        params[names[0]] = value
    return params


def _slug(*parts: str) -> str:
    return "-".join(re.sub(r"[^\w.]+", "_", Path(part).name if Path(part).is_absolute() else part).strip("_") for part in parts)
