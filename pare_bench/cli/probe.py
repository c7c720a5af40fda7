"""``pare-bench probe``: says whether a source's class survives mixing."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.device import checked_device
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.cli.options import checked_preset
from pare_bench.cli.progress import counted
from pare_bench.errors import ExitCode

if TYPE_CHECKING:
    from pare_bench.model.source_probe import Probed, ProbeRequest

_SHARES = "0.64,0.4,0.16"


def probe_command(
    task: Annotated[str, typer.Option("--task", "-t", help="Task whose examples the source is mixed with.", autocompletion=completion.tasks)],
    source: Annotated[
        str | None,
        typer.Option("--source", "-s", help="Proxy whose class is probed; default: the preset's for this task.", autocompletion=completion.tasks),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", "-b", help="Pretrained body, used as it is; default: the preset's.", autocompletion=completion.names("backbone")),
    ] = None,
    preset: Annotated[str, typer.Option(help="Whose components and size of the task are used.", autocompletion=completion.presets)] = "cpu",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="PATH=VALUE", help="As run takes it, for example -o source.max_samples=2000.")
    ] = None,
    shares: Annotated[str, typer.Option(help="Shares of the target's tokens that are replaced; 0.4 is the one that decides.")] = _SHARES,
    train: Annotated[int, typer.Option(min=50, help="Source examples that the probe learns from.")] = 2000,
    test: Annotated[int, typer.Option(min=20, help="Source examples that it is tested on.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of embedder, pairs and random gate.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or mps (untested).")] = "cpu",
    format: FormatOption = None,  # noqa: A002
) -> int:
    """Probe whether a source's class survives mixing; ends with 6 when it does not.

    Logistic regression on the frozen body's mean features reads the class of intact source examples and of mixes made with a random gate. Fit: at
    40 % replaced it keeps half of its intact accuracy and reaches five times chance.
    """
    checked_device(device)
    checked_preset(preset)
    from pare_bench.model.source_probe import ProbeRequest, as_shares, prepare_probe, probe, total_examples
    from pare_bench.registry.names import Registry

    began = time.monotonic()
    request = ProbeRequest(task, source, backbone, preset, tuple(option or ()), tuple(as_shares(shares)), train, test, seed, device)
    setting = prepare_probe(Registry.from_environment(), request)
    with counted(total_examples(setting), f"{setting.source_name} in {task}") as advance:
        found = probe(setting, advance)
    _print(found, request, time.monotonic() - began, format)
    return int(ExitCode.GATE_NOT_MET if found.faults() else ExitCode.OK)


def _print(found: Probed, request: ProbeRequest, seconds: float, chosen: ListFormat | None) -> None:
    faults = found.faults()
    if chosen is ListFormat.JSON:
        output.write_json(_document(found, request, seconds))
        return
    rows = [("intact", "-", *_figures(found, found.intact))]
    rows += [(f"{each.share:.0%} replaced", f"{each.replaced} of {each.tokens}", *_figures(found, each.accuracy)) for each in found.mixes]
    columns = ("examples", "source tokens", "accuracy", "of intact", "times chance")
    output.table(columns, rows, right=columns[1:], drawn=None if chosen is None else chosen is ListFormat.TABLE)
    sizes = f"{found.classes} classes, chance {found.chance:.3f}; {found.train} training and {found.test} test examples"
    output.note(f"{found.source} in {found.task}, body {found.backbone}: {sizes}")
    output.note("fit: the class survives mixing" if not faults else f"unfit: {'; '.join(faults)}")


def _figures(found: Probed, accuracy: float) -> tuple[str, str, str]:
    return f"{accuracy:.3f}", f"{found.kept(accuracy):.2f}", f"{accuracy / found.chance:.1f}"


def _document(found: Probed, request: ProbeRequest, seconds: float) -> dict[str, Any]:
    faults = found.faults()
    return {**asdict(found), "fit": not faults, "faults": faults, "preset": request.preset, "seed": request.seed, "seconds": round(seconds, 3)}
