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
from pare_bench.config.settings import difference, flattened, options, path_of
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
#: The ``-o`` options taken apart: paths and values.
Overrides = Sequence[tuple[tuple[str, ...], Any]]
#: What makes one run of a request: registry, request, task, seed, and its overrides.
ResolveOne = Callable[[Registry, Request, str, int, Overrides], RunConfig]
#: Fields of a run that hold a component, with its kind.
_KINDS: Mapping[str, str] = {**SLOTS, "method": "method", "task": "task"}


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
    overrides: Overrides,
    origins: Origins | None = None,
) -> RunConfig:
    """Resolve one run: preset, then what the method implies and recommends, then ``-o``; every component's parameters are completed and checked.

    A learning rate that neither ``-o`` nor the method's recommendation sets is lowered to what the body takes; a text source without a tokenizer
    gets the body's. ``origins`` takes down which of these has set what.
    """
    shared = (("recipe",), SHARED) in overrides
    asked = [item for item in overrides if item != (("recipe",), SHARED)]
    run = _Resolving(registry, request, task, asked, origins or Origins(), shared=shared)
    run.begin(seed)
    run.apply(OPTION, "task")
    run.take_method()
    run.take_size()
    run.apply(OPTION, "method")
    run.follow_method()
    run.apply(OPTION)
    run.complete()
    run.take_source_size()
    return validated(run.values)


class _Resolving:
    """The nested values of one run, layer upon layer; each layer notes what it has set."""

    def __init__(self, registry: Registry, request: Request, task: str, overrides: Overrides, noted: Origins, *, shared: bool) -> None:
        self.registry, self.request, self.task, self.overrides, self.noted, self.shared = registry, request, task, overrides, noted, shared
        self.method_class = registry.component("method", request.method)
        self.used = registry.spec("method", request.method).slots
        self.task_class: type[Task] = registry.component("task", task)
        self.tier = request.tiers.get(task, request.tier)
        self.values: dict[str, Any] = {}
        #: Paths that the method recommends.
        self.recommended: Mapping[str, object] = {}

    def begin(self, seed: int) -> None:
        """Take the preset, what the command names, and the task."""
        request, task, noted = self.request, self.task, self.noted
        spec = self.registry.spec("task", task)
        self.settings = preset_settings(request.preset, spec, self.task_class, request.method, shared=self.shared)
        self.defaults = nested(self.settings)
        self.values = {key: value for key, value in self.defaults.items() if key not in SLOTS or key in self.used}
        _check_tier(spec, self.tier)
        self.values |= {"suite": request.suite, "preset": request.preset, "tier": self.tier, "track": request.track, "seed": seed}
        self.values |= {"device": request.device, "task": {"name": task, "params": task_defaults(self.task_class, request.preset, request.track)}}
        noted.note(("suite", "preset", "tier", "track", "seed", "device", "task", "method"), COMMAND)
        noted.note((f"task.{name}" for name in self.task_class.preset_params.get(request.preset, {})), f"preset {request.preset} of task '{task}'")
        if request.track == "paper":
            noted.note((f"task.{name}" for name in self.task_class.released_params), f"track paper of task '{task}'")
        self._check_paths()

    def take_method(self) -> None:
        """Take the method with what its preset sets, the task requires and the released code does."""
        method, preset = self.request.method, self.request.preset
        required = self.method_class.required(self.registry.build("task", self.task, self.values["task"]["params"]))
        own = self.method_class.preset_params.get(preset, {})
        self.values["method"] = {"name": method, "params": {**own, **self.defaults.get("method", {}).get("params", {}), **required}}
        self.noted.note((f"method.{name}" for name in own), f"preset {preset} of '{method}'")
        for setting in self.settings:
            self.noted.note((setting.path,), f"preset {preset}: {setting.source}")
        self.noted.note((f"method.{name}" for name in required), f"required of '{method}' by task '{self.task}'")
        if self.request.track == "paper":
            # As if given by -o, but before it: what the released code does can still be overruled point by point. The task's own published
            # configuration says more than what holds for all tasks.
            published = {setting.path for setting in self.settings}
            released = {path: value for path, value in self.method_class.released.items() if _is_used(path, self.used) and path not in published}
            self._set(released, f"track paper of '{method}'")

    def take_size(self) -> None:
        """Take the size of the generated data."""
        size = dict(vars(default_size(self.task_class, self.request.preset))) if self.tier == "generated" else None
        self.values["size"] = size
        self.noted.note((f"size.{name}" for name in size or ()), f"preset {self.request.preset}: sizes of task '{self.task}'")

    def follow_method(self) -> None:
        """Take what the method, with its parameters, implies for its slots and recommends for the task."""
        name, params = self.values["method"]["name"], self.registry.params("method", self.values["method"]["name"], self.values["method"]["params"])
        for slot, implied in self.method_class.implied(params).items():
            self.values[slot]["params"] = {**self.values[slot]["params"], **implied}
            self.noted.note((f"{slot}.{parameter}" for parameter in implied), f"implied by '{name}'")
        if not self.shared:
            self.recommended = self.method_class.recommended(params, self.task)
            self._set(self.recommended, f"recommended by '{name}'")

    def complete(self) -> None:
        """Complete and check the parameters of all components, and what a body decides about rate and tokenizer."""
        values = self.values
        if self.tier != "generated" and values["size"] is not None:
            message = f"task '{self.task}' on tier '{self.tier}' has as many examples as its data, option -o sets 'size'"
            raise UsageError(message, hint="leave size out")
        for slot, kind in _KINDS.items():
            if slot in values:
                chosen = values[slot]
                values[slot] = {"name": chosen["name"], "params": as_json(self.registry.params(kind, chosen["name"], chosen["params"]))}
        if suited(self.registry, values, {*self.recommended, *map(".".join, dict(self.overrides))}):
            self.noted.note((RATE,), f"asked for by backbone '{values['backbone']['name']}'")
        check_fit(self.registry, values)
        if with_tokenizer(self.registry, values):
            self.noted.note((TOKENIZER,), f"that of backbone '{values['backbone']['name']}'" if "backbone" in values else "bundled")

    def take_source_size(self) -> None:
        """Take the size of the source's generated data, as far as it was not given."""
        if "source" not in self.values:
            return
        name, given = self.values["source"]["name"], self.values.get("source_size")
        if "generated" in self.registry.spec("task", name).tiers:
            size = vars(default_size(self.registry.component("task", name), self.request.preset))
            self.values["source_size"] = size | (given or {})
            missing = (f"source_size.{part}" for part in size if part not in (given or {}))
            self.noted.note(missing, f"preset {self.request.preset}: sizes of source '{name}'")
        elif given is not None:
            raise UsageError(f"source '{name}' is read from its published files and has no source_size", hint="-o source.max_samples=NUMBER")

    def apply(self, origin: str, *heads: str) -> None:
        """Set the paths asked for that begin with one of ``heads``; without any, those that begin with neither task nor method."""
        for path, value in self.overrides:
            if path[0] in heads if heads else path[0] not in ("task", "method"):
                apply_override(self.values, path, value, self.used)
                self.noted.note((".".join(path),), origin)

    def _set(self, settings: Mapping[str, object], origin: str) -> None:
        for path, value in settings.items():
            apply_override(self.values, tuple(path.split(".")), value, self.used)
            self.noted.note((path,), origin)

    def _check_paths(self) -> None:
        """Refuse a path that begins with nothing that a run has; who has left the component out is told which one has such a parameter."""
        for path, value in self.overrides:
            if not is_known(path):
                names = {"method": self.request.method, **{slot: self.values[slot]["name"] for slot in (*SLOTS, "task") if slot in self.values}}
                fields = {slot: self.registry.component(_KINDS[slot], name).Params.model_fields for slot, name in names.items()}
                raise unknown_path(".".join(path), value, [f"{slot}.{field}" for slot in fields for field in fields[slot]])


def _is_used(path: str, used: Sequence[str]) -> bool:
    return (head := path.partition(".")[0]) not in SLOTS or head in used


def explained(registry: Registry, request: Request, task: str, seed: int, overrides: Overrides) -> tuple[RunConfig, dict[str, tuple[str, str]]]:
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
    base |= brought
    inside = [change for slot in config.slots() if own[slot] != base.get(slot) for change in _own_settings(registry, config, slot)]
    found = difference(own, base) + [change for change in inside if path_of(change) not in brought]
    # By path: a component stands before its parameters, which would fall to its defaults otherwise.
    return tuple(sorted(found, key=path_of))


def _own_settings(registry: Registry, config: RunConfig, slot: str) -> list[str]:
    """Return the parameters of a component that are not its defaults, as ``path=value``: what was set beside its name."""
    chosen = config.slots()[slot]
    defaults = registry.component(SLOTS[slot], chosen.name).Params.model_construct()
    own, base = (flattened({slot: {"name": chosen.name, "params": params}}) for params in (chosen.params, as_json(defaults)))
    return difference(own, base)


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
