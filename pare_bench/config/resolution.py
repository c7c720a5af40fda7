"""From the words of a command to resolved runs: suite, method, preset and ``-o`` options become :class:`RunConfig` objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from pare_bench.config.body import PATH as TOKENIZER
from pare_bench.config.body import with_tokenizer
from pare_bench.config.fit import check_fit
from pare_bench.config.origins import COMMAND, OPTION, Origins
from pare_bench.config.presets import nested, preset_settings
from pare_bench.config.rates import PATH as RATE
from pare_bench.config.rates import suited
from pare_bench.config.run_config import SLOTS, RunConfig, Tier, apply_override, is_known, parse_overrides, unknown_path, validated
from pare_bench.config.settings import difference, flattened, options
from pare_bench.contracts.params import as_json
from pare_bench.errors import UsageError, check_tasks
from pare_bench.registry.names import Registry
from pare_bench.registry.specs import TaskSpec

if TYPE_CHECKING:
    from pare_bench.contracts.task import Task, TaskSize

#: Value of ``-o recipe=`` that gives every method the same optimiser, batch, epochs and proxy.
SHARED = "shared"


@dataclass(frozen=True)
class Request:
    """What the user asked for. ``tasks`` empty means every task of the suite; ``tiers`` has the tasks whose tier is not ``tier``."""

    method: str
    suite: str
    tasks: tuple[str, ...] = ()
    preset: str = "cpu"
    tier: str = "generated"
    tiers: Mapping[str, str] = field(default_factory=dict)
    track: str = "clean"
    seeds: tuple[int, ...] = (0,)
    device: str = "cpu"
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unresolved:
    """A run that was asked for and cannot be resolved: its task's class cannot be loaded, or fails when it is asked.

    ``config`` says what is known without the task, ``options`` are the ``-o`` settings asked for, ``error`` is what came up.
    """

    config: RunConfig
    options: tuple[str, ...]
    error: BaseException


#: A run of a request: resolved, or not.
Planned = RunConfig | Unresolved
#: What makes one run of a request: registry, request, task, seed, and the ``-o`` options taken apart.
ResolveOne = Callable[[Registry, Request, str, int, Sequence[tuple[tuple[str, ...], Any]]], RunConfig]


def resolve(registry: Registry, request: Request, one: ResolveOne | None = None) -> list[RunConfig]:
    """Return one configuration per task and seed, tasks in suite order; each is made by ``one``, by default :func:`resolve_one`.

    Raises:
        UsageError: a name, path or value does not fit; nothing has run yet.
    """
    overrides = parse_overrides(request.overrides)
    one = one or resolve_one
    return [one(registry, request, task, seed, overrides) for seed, task in _asked(registry, request)]


def resolve_each(registry: Registry, request: Request, one: ResolveOne | None = None) -> list[Planned]:
    """Return what :func:`resolve` returns; a run whose task is at fault is :class:`Unresolved` and keeps nobody else from running.

    Raises:
        UsageError: as :func:`resolve`.
        PluginError: the method's class cannot be loaded: none of the runs can be done.
    """
    overrides = parse_overrides(request.overrides)
    one = one or resolve_one
    planned: list[Planned] = []
    for seed, task in _asked(registry, request):
        try:
            planned.append(one(registry, request, task, seed, overrides))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # A suite may name a task that nobody registers, since its plugin is broken; any other UsageError is the command's.
            if isinstance(error, UsageError) and task in registry.names("task"):
                raise
            registry.component("method", request.method)
            planned.append(Unresolved(_names_alone(request, task, seed), options(request.overrides), error))
    return planned


def _asked(registry: Registry, request: Request) -> list[tuple[int, str]]:
    suite = registry.spec("suite", request.suite)
    registry.entry("method", request.method)
    check_tasks(request.tasks, request.suite, suite.tasks)
    tasks = [task for task in suite.tasks if not request.tasks or task in request.tasks]
    return [(seed, task) for seed in request.seeds for task in tasks]


def _names_alone(request: Request, task: str, seed: int) -> RunConfig:
    values = {"suite": request.suite, "preset": request.preset, "track": request.track, "seed": seed, "device": request.device}
    tier = request.tiers.get(task, request.tier)
    return validated({**values, "tier": tier, "task": {"name": task}, "method": {"name": request.method}})


def config_of(planned: Planned) -> RunConfig:
    """Return the configuration of a run, as far as it is known."""
    return planned.config if isinstance(planned, Unresolved) else planned


def resolve_one(
    registry: Registry,
    request: Request,
    task: str,
    seed: int,
    overrides: Sequence[tuple[tuple[str, ...], Any]],
    origins: Origins | None = None,
) -> RunConfig:
    """Resolve one run: preset, then what the method implies and recommends, then ``-o``; every component's parameters are completed and checked.

    A learning rate that neither ``-o`` nor the method's recommendation sets is lowered to what the body takes; a text source without a tokenizer
    gets the body's. ``origins`` takes down which of these has set what.
    """
    noted = origins or Origins()
    method_class = registry.component("method", request.method)
    used = registry.spec("method", request.method).slots
    shared = (("recipe",), SHARED) in overrides
    overrides = [item for item in overrides if item != (("recipe",), SHARED)]
    task_class = registry.component("task", task)
    settings = preset_settings(request.preset, registry.spec("task", task), task_class, request.method, shared=shared)
    defaults = nested(settings)
    values: dict[str, Any] = {key: value for key, value in defaults.items() if key not in SLOTS or key in used}
    tier = request.tiers.get(task, request.tier)
    _check_tier(registry.spec("task", task), tier)
    values |= {"suite": request.suite, "preset": request.preset, "tier": tier, "track": request.track, "seed": seed, "device": request.device}
    values["task"] = {"name": task, "params": task_defaults(task_class, request.preset, request.track)}
    noted.note(("suite", "preset", "tier", "track", "seed", "device", "task", "method"), COMMAND)
    noted.note((f"task.{name}" for name in task_class.preset_params.get(request.preset, {})), f"preset {request.preset} of task '{task}'")
    if request.track == "paper":
        noted.note((f"task.{name}" for name in task_class.released_params), f"track paper of task '{task}'")
    _check_paths(registry, values, request.method, overrides)
    _apply(values, [item for item in overrides if item[0][0] == "task"], used, noted, OPTION)
    required = method_class.required(registry.build("task", task, values["task"]["params"]))
    method_params = {**method_class.preset_params.get(request.preset, {}), **defaults.get("method", {}).get("params", {}), **required}
    values["method"] = {"name": request.method, "params": method_params}
    noted.note((f"method.{name}" for name in method_class.preset_params.get(request.preset, {})), f"preset {request.preset} of '{request.method}'")
    for setting in settings:
        noted.note((setting.path,), f"preset {request.preset}: {setting.source}")
    noted.note((f"method.{name}" for name in required), f"required of '{request.method}' by task '{task}'")
    if request.track == "paper":
        # As if given by -o, but before it: what the released code does can still be overruled point by point.
        released = [(tuple(path.split(".")), value) for path, value in method_class.released.items()]
        _apply(values, [item for item in released if item[0][0] not in SLOTS or item[0][0] in used], used, noted, "track paper: the released code")
    values["size"] = dict(vars(default_size(task_class, request.preset))) if tier == "generated" else None
    noted.note((f"size.{name}" for name in values["size"] or ()), f"preset {request.preset}: sizes of task '{task}'")
    _apply(values, [item for item in overrides if item[0][0] == "method"], used, noted, OPTION)
    for slot, implied in method_class.implied(registry.params("method", values["method"]["name"], values["method"]["params"])).items():
        values[slot]["params"] = {**values[slot]["params"], **implied}
        noted.note((f"{slot}.{name}" for name in implied), f"implied by '{request.method}'")
    recommended: Mapping[str, object] = {}
    if not shared:
        recommended = method_class.recommended(registry.params("method", values["method"]["name"], values["method"]["params"]), task)
        _apply(values, [(tuple(path.split(".")), value) for path, value in recommended.items()], used, noted, f"recommended by '{request.method}'")
    _apply(values, [item for item in overrides if item[0][0] not in ("task", "method")], used, noted, OPTION)
    if tier != "generated" and values["size"] is not None:
        raise UsageError(f"task '{task}' on tier '{tier}' has as many examples as its data, option -o sets 'size'", hint="leave size out")
    for slot, kind in {**SLOTS, "method": "method", "task": "task"}.items():
        if slot in values:
            chosen = values[slot]
            values[slot] = {"name": chosen["name"], "params": as_json(registry.params(kind, chosen["name"], chosen["params"]))}
    if suited(registry, values, {*recommended, *map(".".join, dict(overrides))}):
        noted.note((RATE,), f"asked for by backbone '{values['backbone']['name']}'")
    check_fit(registry, values)
    if with_tokenizer(registry, values):
        noted.note((TOKENIZER,), f"tokenizer of backbone '{values['backbone']['name']}'" if "backbone" in values else "default")
    if "source" in values and "generated" not in registry.spec("task", values["source"]["name"]).tiers:
        if "source_size" in values:
            name = values["source"]["name"]
            raise UsageError(f"source '{name}' is read from its published files and has no source_size", hint="-o source.max_samples=NUMBER")
    elif "source" in values:
        source_size, given = default_size(registry.component("task", values["source"]["name"]), request.preset), values.get("source_size", {})
        values["source_size"] = vars(source_size) | given
        own = f"preset {request.preset}: sizes of source '{values['source']['name']}'"
        noted.note((f"source_size.{name}" for name in vars(source_size) if name not in given), own)
    return validated(values)


def explained(
    registry: Registry, request: Request, task: str, seed: int, overrides: Sequence[tuple[tuple[str, ...], Any]]
) -> tuple[RunConfig, dict[str, tuple[str, str]]]:
    """Return what :func:`resolve_one` returns, and of every path of it the value and where that comes from (:class:`Origins`)."""
    origins = Origins()
    config = resolve_one(registry, request, task, seed, overrides, origins)
    return config, origins.of(config)


def changes_from_preset(registry: Registry, config: RunConfig) -> tuple[str, ...] | None:
    """Return the settings in which a run differs from what its preset gives today, as sorted ``path=value``; None where there is no such preset."""
    request = Request(
        method=config.method.name,
        suite=config.suite,
        tasks=(config.task.name,),
        preset=config.preset,
        tier=config.tier,
        track=config.track,
        seeds=(config.seed,),
        device=config.device,
    )
    try:
        plain = resolve_one(registry, request, config.task.name, config.seed, ())
        same_body = resolve_one(registry, request, config.task.name, config.seed, _body(config)) if config.backbone != plain.backbone else plain
    except UsageError:
        return None
    own, base, with_body = (flattened(each.model_dump(mode="json")) for each in (config, plain, same_body))
    # Another body brings its learning rate and its tokenizer along: the option that chose it says that, too.
    brought = {path: with_body[path] for path in (RATE, TOKENIZER) if path in with_body and path in base}
    return tuple(difference(own, {**base, **brought}))


def _body(config: RunConfig) -> list[tuple[tuple[str, ...], Any]]:
    """Return the overrides that choose the backbone of a run."""
    chosen = config.backbone
    return [] if chosen is None else [(("backbone",), chosen.name), *((("backbone", name), value) for name, value in chosen.params.items())]


def task_defaults(task_class: type[Task], preset: str, track: str) -> dict[str, Any]:
    """Return the parameters that preset and track give a task, before ``-o``."""
    return {**task_class.preset_params.get(preset, {}), **(task_class.released_params if track == "paper" else {})}


def default_size(task_class: type[Task], preset: str) -> TaskSize:
    """Return the size of a task's generated data that a preset gives."""
    return task_class.sizes.get(preset, task_class.sizes["cpu"])


def no_such_tier(task: TaskSpec, tier: str) -> UsageError:
    """Return the error for a tier that a task does not have."""
    return UsageError(f"task '{task.name}' has no tier '{tier}', it has {' and '.join(task.tiers)}", hint=f"--tier {task.tiers[0]}, or --tier auto")


def _check_tier(task: TaskSpec, tier: str) -> None:
    # A task without a reader of official files says so itself, with the folder it looked into; what is no tier at all is refused by its field.
    if tier in get_args(Tier) and tier not in (*task.tiers, "official"):
        raise no_such_tier(task, tier)


def _check_paths(registry: Registry, values: Mapping[str, Any], method: str, overrides: Sequence[tuple[tuple[str, ...], Any]]) -> None:
    """Refuse a path that begins with nothing that a run has; who has left the component out is told which one has such a parameter."""
    for path, value in overrides:
        if not is_known(path):
            names = {"method": method, **{slot: values[slot]["name"] for slot in (*SLOTS, "task") if slot in values}}
            kinds = {**SLOTS, "method": "method", "task": "task"}
            fields = {slot: registry.component(kinds[slot], name).Params.model_fields for slot, name in names.items()}
            raise unknown_path(".".join(path), value, [f"{slot}.{field}" for slot in fields for field in fields[slot]])


def _apply(values: dict[str, Any], overrides: Sequence[tuple[tuple[str, ...], Any]], used: Sequence[str], noted: Origins, origin: str) -> None:
    for path, value in overrides:
        apply_override(values, path, value, used)
        noted.note((".".join(path),), origin)
