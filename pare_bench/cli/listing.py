"""``pare-bench list``, ``show`` and ``plugins``: what there is, without importing torch."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.options import checked_word
from pare_bench.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from pare_bench.registry.names import Entry, Registry


class ListFormat(StrEnum):
    """Formats of the listing verbs; by default a table on a terminal and Markdown elsewhere."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


FormatOption = Annotated[ListFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")]


def list_command(
    kind: Annotated[
        str | None, typer.Argument(help="suite, task, method, backbone, ...; all when left out.", autocompletion=completion.kinds)
    ] = None,
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="Only tasks of this suite.", autocompletion=completion.names("suite"))] = None,
    modality: Annotated[str | None, typer.Option(help="Only what is made for image, sequence or table.")] = None,
    plugin: Annotated[str | None, typer.Option(help="Only what this plugin registers.", autocompletion=completion.plugins)] = None,
    format: FormatOption = None,  # noqa: A002
) -> None:
    """List registered names."""
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    kinds = (_singular(kind, registry.kinds()),) if kind else registry.kinds()
    wanted = _filter(registry, kinds, suite, modality, plugin)
    entries = [(each, entry) for each in kinds for name in registry.names(each) if wanted(each, entry := registry.entry(each, name))]
    if format is ListFormat.JSON:
        output.write_json([{"kind": each, "plugin": entry.plugin.name, **_plain(asdict(entry.spec))} for each, entry in entries])
        return
    _table(("kind", "name", "summary", "plugin"), [(each, entry.spec.name, entry.spec.summary, entry.plugin.name) for each, entry in entries], format)


def _filter(registry: Registry, kinds: Sequence[str], suite: str | None, modality: str | None, plugin: str | None) -> Callable[[str, Entry], bool]:
    """Return what says whether an entry of a kind is asked for.

    Raises:
        UsageError: there is no such suite, modality or plugin, or nothing that is listed has one.
    """
    entries = [(kind, registry.entry(kind, name)) for kind in kinds for name in registry.names(kind)]
    modalities = sorted({entry.spec.modality for _, entry in entries if hasattr(entry.spec, "modality")})
    checked_word("plugin", plugin, [info.name for info in registry.plugins.infos])
    tasks = registry.spec("suite", suite).tasks if suite is not None else ()
    for option, value, has in (("--suite", suite, "task" in kinds), ("--modality", modality, bool(modalities))):
        if value is not None and not has:
            raise UsageError(f"{option} '{value}' goes with tasks, not with kind '{kinds[0]}'", hint=f"pare-bench list task {option} {value}")
    checked_word("modality", modality, modalities)

    def wanted(kind: str, entry: Entry) -> bool:
        return (
            (suite is None or (kind == "task" and entry.spec.name in tasks))
            and modality in (None, getattr(entry.spec, "modality", ""))
            and plugin in (None, entry.plugin.name)
        )

    return wanted


def show_command(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND|NAME", help="For example method, or a name that only one kind has.", autocompletion=completion.kinds_and_names),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="After a kind: for example pare.", autocompletion=completion.name_of_kind)
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Of a preset: the task whose values are shown.", autocompletion=completion.names("task"))
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", "-m", help="Of a preset: the method whose values are shown.", autocompletion=completion.names("method")),
    ] = "pare",
    recipe: Annotated[str | None, typer.Option(help="Of a preset: shared, for the recipe that all methods share.")] = None,
    format: FormatOption = None,  # noqa: A002
) -> None:
    """Show one component: what it is, where it comes from, its parameters and the slots it uses; or what a preset sets, and why."""
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    if name is None:
        kind, name = _kind_of(registry, kind), kind
    if kind == "preset":
        _show_preset(registry, name, task, method, recipe, format)
        return
    if task is not None or recipe is not None:
        raise UsageError(f"--task and --recipe belong to presets, not to kind '{kind}'", hint="pare-bench show preset paper --task ecg")
    entry = registry.entry(_singular(kind, registry.kinds()), name)
    facts = {key: value for key, value in _plain(asdict(entry.spec)).items() if value is not None}
    facts |= {"plugin": str(entry.plugin)}
    parameters = _parameters(facts["target"]) if "target" in facts else []
    if format is ListFormat.JSON:
        output.write_json({**facts, "parameters": parameters})
        return
    rows = [(key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for key, value in facts.items()]
    _table(("field", "value"), rows, format)
    if parameters:
        output.write("")
        _table(("parameter", "type", "default", "about"), [(p["name"], p["type"], p["default"], p["about"]) for p in parameters], format)


def _kind_of(registry: Registry, name: str) -> str:
    """Return the kind of a name that is given alone.

    Raises:
        UsageError: it has none, or several.
    """
    kinds = [kind for kind in registry.kinds() if name in registry.names(kind)] + (["preset"] if name in completion.PRESETS else [])
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise UsageError(f"'{name}' is registered as {' and as '.join(kinds)}", hint=f"pare-bench show {kinds[0]} {name}")
    if _singular(name, registry.kinds()) in (*registry.kinds(), "preset"):
        raise UsageError(f"'{name}' is a kind: show takes a name of it, too", hint=f"pare-bench list {name}")
    raise unknown_name("name", name, {each for kind in registry.kinds() for each in registry.names(kind)}, hint="pare-bench list")


def _show_preset(registry: Registry, name: str, task: str | None, method: str, recipe: str | None, chosen: ListFormat | None) -> None:
    from pare_bench.config.presets import preset_settings
    from pare_bench.config.published import Setting
    from pare_bench.config.resolution import SHARED, task_defaults
    from pare_bench.config.run_config import SLOTS

    if task is None:
        raise UsageError(f"preset '{name}' has values for each task", hint=f"pare-bench show preset {name} --task ecg")
    if recipe not in (None, SHARED):
        raise UsageError(f"--recipe '{recipe}' is not known", hint=f"use --recipe {SHARED}, or leave it out")
    slots = registry.spec("method", method).slots
    component = registry.component("method", method)
    params = registry.params("method", method, component.preset_params.get(name, {}))
    recommended = {} if recipe == SHARED else component.recommended(params, task)
    own = {path: Setting(path, value, f"recommended by {method}") for path, value in recommended.items()}
    task_class = registry.component("task", task)
    required = component.required(registry.build("task", task, task_defaults(task_class, name, "clean")))
    own |= {f"method.{path}": Setting(f"method.{path}", value, f"required of {method} by task {task}") for path, value in required.items()}
    given = preset_settings(name, registry.spec("task", task), task_class, method, shared=recipe == SHARED)
    settings = [own.pop(setting.path, setting) for setting in given if (head := setting.path.partition(".")[0]) not in SLOTS or head in slots]
    of_method = {f"method.{path}": value for path, value in component.preset_params.get(name, {}).items()}
    taken = {setting.path for setting in given} | set(own)
    settings += [Setting(path, value, f"preset {name} of {method}") for path, value in of_method.items() if path not in taken]
    settings += own.values()
    if chosen is ListFormat.JSON:
        output.write_json([asdict(setting) for setting in settings])
        return
    _table(("path", "value", "source"), [(s.path, s.value if isinstance(s.value, str) else json.dumps(s.value), s.source) for s in settings], chosen)


def plugins_command(format: FormatOption = None) -> None:  # noqa: A002
    """List the plugins that were found, the broken ones with their error."""
    from pare_bench.registry.plugins import load_plugins

    infos = load_plugins().infos
    if format is ListFormat.JSON:
        output.write_json([asdict(info) for info in infos])
        return
    _table(
        ("plugin", "module", "distribution", "version", "state"),
        [(i.name, i.module, i.distribution, i.version, i.error or "ok") for i in infos],
        format,
    )


def _singular(kind: str, kinds: tuple[str, ...]) -> str:
    singular = kind.removesuffix("s")
    return singular if kind not in kinds and singular in kinds else kind


def _plain(value: Any) -> Any:
    return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], chosen: ListFormat | None) -> None:
    if chosen is ListFormat.MD or (chosen is None and not output.stdout_is_terminal()):
        output.write(output.markdown_table(columns, rows))
    else:
        output.render(output.rich_table(columns, rows))


def _parameters(target: str) -> list[dict[str, str]]:
    """Read the fields of a component's nested ``Params`` from its source text, so that showing it imports neither it nor torch."""
    module, _, class_name = target.partition(":")
    return _fields(module, class_name, "Params")


def _fields(module: str, class_name: str, nested: str) -> list[dict[str, str]]:
    found = _find_class(module, class_name)
    if found is None:
        return []
    tree, owner = found
    inner = next((node for node in owner.body if isinstance(node, ast.ClassDef) and node.name == nested), None)
    # Parameters that are inherited come first: from the base of Params itself, or from the base of the component.
    bases = [ast.unparse(base) for base in (inner.bases if inner else owner.bases)]
    fields: list[dict[str, str]] = []
    for base in bases:
        parent = base.removesuffix(f".{nested}")
        if parent not in (nested, class_name) and "." not in parent:
            fields += _fields(_module_of(tree, parent, module), parent, nested)
    own = inner.body if inner else []
    return fields + [_field(node) for node in own if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]


def _find_class(module: str, class_name: str) -> tuple[ast.Module, ast.ClassDef] | None:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    owner = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name), None)
    return None if owner is None else (tree, owner)


def _module_of(tree: ast.Module, name: str, here: str) -> str:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and any((alias.asname or alias.name) == name for alias in node.names):
            return node.module
    return here


def _field(node: ast.AnnAssign) -> dict[str, str]:
    """Describe one field: its default is the value itself, or the first argument or ``default=`` of a call of pydantic's Field."""
    value, about = node.value, ""
    if isinstance(value, ast.Call):
        named = {keyword.arg: keyword.value for keyword in value.keywords}
        value, description = value.args[0] if value.args else named.get("default"), named.get("description")
        about = ast.literal_eval(description) if description is not None else ""
    name = node.target.id if isinstance(node.target, ast.Name) else ""
    return {"name": name, "type": ast.unparse(node.annotation), "default": ast.unparse(value) if value is not None else "required", "about": about}
