"""What ``pare-bench plugins new`` writes: a distribution with one working component, from the templates in ``data/plugin_templates``."""

from __future__ import annotations

import keyword
import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pare_bench.errors import EnvironmentFault, UsageError
from pare_bench.registry.versions import PLUGIN_API

if TYPE_CHECKING:
    from pare_bench.registry.names import Registry

#: Kinds that a plugin can bring: what a run needs to meet the new one (a command without ``run`` and preset), and the page that goes on from there.
_RUNS: Mapping[str, str] = {
    "task": "--method full_finetune --suite {name}",
    "suite": "--method full_finetune --suite {name}",
    "selector": "--method pare --task satellite -o selector={name}",
    "mixer": "--method pare --task satellite -o mixer={name}",
    "embedder": "--method full_finetune --task satellite -o embedder={name}",
    "backbone": "--method full_finetune --task spherical -o backbone={name}",
    "aligner": "--method orca --task satellite -o aligner={name}",
    "method": "--method {name} --task satellite",
    "executor": "--method constant --task satellite --executor {name}",
    "observer": "--method full_finetune --task satellite",
}
KINDS = tuple(_RUNS)
_NAME = re.compile(r"[a-z](?:[a-z0-9_]*[a-z0-9])?\Z")
#: Longer names make file names that some systems refuse.
_LONGEST = 60
_ARTICLES = {"embedder": "an embedder", "aligner": "an aligner", "executor": "an executor", "observer": "an observer"}
_PAGES = {"executor": "docs/executors.md", "observer": "docs/observers.md"}


@dataclass(frozen=True)
class Kit:
    """A distribution that is yet to be written: its texts by path below its folder, and what to type next."""

    kind: str
    name: str
    texts: Mapping[str, str]

    @property
    def distribution(self) -> str:
        """Its name for pip, and of its folder."""
        return f"pare-bench-{self.name.replace('_', '-')}"

    def steps(self, folder: str) -> tuple[str, ...]:
        """Return the commands that install, check and run what lies in ``folder``."""
        # A bare word could be the name of a distribution as well.
        place = folder if Path(folder).is_absolute() or folder.startswith(".") else f"./{folder}"
        return (
            f"pip install -e {shlex.quote(place)}",
            f"pare-bench check {self.kind}:{self.name}",
            f"pare-bench run {run_arguments(self.kind, self.name)} --preset smoke",
        )


def run_arguments(kind: str, name: str) -> str:
    """Return what a run with the new component is called with, preset apart."""
    return _RUNS[kind].format(name=name)


def kit(kind: str, name: str) -> Kit:
    """Return the distribution for a component ``name`` of ``kind``.

    Raises:
        UsageError: the name is none, or its package could not be imported.
    """
    _check_name(name)
    made = Kit(kind, name, {})
    package = f"pare_bench_{name}"
    component = _template(kind, "component.py")
    values = {
        "kind": kind,
        "a_kind": _ARTICLES.get(kind, f"a {kind}").capitalize(),
        "name": name,
        "Class": _class_name(kind, name, component),
        "package": package,
        "distribution": made.distribution,
        "api": str(PLUGIN_API),
        "page": _PAGES.get(kind, f"docs/add-a-{kind}.md"),
        # A test makes one run; a suite has several.
        "arguments": ", ".join(f'"{word}"' for word in shlex.split(run_arguments(kind, name) + (" --task satellite" if kind == "suite" else ""))),
        "steps": "\n".join(made.steps(".")),
    }
    about = {f"{package}/plugin.py": "the hooks; light, because `pare-bench list` imports it"}
    if component:
        about[f"{package}/{name}.py"] = f"the {kind}; imported when it is used"
    about[f"tests/test_{name}.py"] = "contract and a smoke run"
    values["table"] = "\n".join(f"| `{path}` | {what} |" for path, what in about.items())
    sources = {
        "pyproject.toml": _template("", "pyproject.toml"),
        "README.md": _template("", "README.md"),
        f"{package}/__init__.py": _template("", "init.py"),
        f"{package}/plugin.py": _template("", "plugin_head") + _template(kind, "plugin.py"),
        **({f"{package}/{name}.py": component} if component else {}),
        f"tests/test_{name}.py": _template("", "test.py"),
    }
    return Kit(kind, name, {path: Template(text).substitute(values) for path, text in sources.items()})


def check_free(kind: str, name: str, registry: Registry) -> None:
    """Check that no installed plugin has the name already: with two of them, every command would stop.

    Raises:
        UsageError: one has it.
    """
    package = f"pare_bench_{name}"
    taken = next((info for info in registry.plugins.infos if info.name == name), None)
    # A new task comes with a suite of its name.
    kinds = [each for each in (kind, *(["suite"] if kind == "task" else [])) if each in registry.kinds() and name in registry.names(each)]
    if kinds:
        taken_by = f"{kinds[0]} '{name}' is registered already, by plugin {registry.entry(kinds[0], name).plugin}"
    elif taken is not None:
        taken_by = f"a plugin '{name}' is installed already: {taken}"
    elif find_spec(package) is not None:
        taken_by = f"a package '{package}' is installed already"
    else:
        return
    raise UsageError(taken_by, hint=f"pare-bench plugins new my_{name} --kind {kind}")


def write(made: Kit, folder: Path) -> None:
    """Write a distribution, all of it or nothing.

    Raises:
        UsageError: ``folder`` is there already, or cannot be one.
        EnvironmentFault: the disk is full, or the place may not be written.
    """
    if os.path.lexists(folder):
        raise UsageError(
            f"'{folder}' exists already", hint=f"pare-bench plugins new {made.name} --kind {made.kind} --to {shlex.quote(str(folder))}-2"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pare-bench-", dir=folder.parent) as scratch:
            whole = Path(scratch, "whole")
            for path, text in made.texts.items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_text(text, encoding="utf-8")
            whole.rename(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"'{folder.parent}' is no folder that '{folder.name}' could be made in", hint="choose another one with --to") from error
    except OSError as error:
        place = shlex.quote(str(folder.parent))
        raise EnvironmentFault(f"'{folder}' cannot be written: {error.strerror or error}", hint=f"ls -ld {place}; df -h {place}") from error


def _check_name(name: str) -> None:
    if not _NAME.match(name) or len(name) > _LONGEST:
        better = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")[:_LONGEST].rstrip("_")
        hint = f"use lower-case letters, digits and '_', first a letter, at most {_LONGEST} in all"
        raise UsageError(f"name '{name}' is not allowed", hint=hint + (f": {better}" if _NAME.match(better) else ""))
    if keyword.iskeyword(name) or name == "plugin":
        raise UsageError(f"name '{name}' cannot be that of a module of the new package", hint=f"choose another one: my_{name}")


def _class_name(kind: str, name: str, component: str) -> str:
    """Return the name as that of a class, which must not be one that its module imports."""
    plain = "".join(part.capitalize() for part in name.split("_"))
    return f"{plain}{kind.capitalize()}" if keyword.iskeyword(plain) or re.search(rf"\b{plain}\b", component) else plain


def _template(kind: str, name: str) -> str:
    """Return a template; "" where the kind has none of the name: a suite is no class."""
    place = files("pare_bench") / "data" / "plugin_templates" / kind / f"{name}.txt"
    return place.read_text("utf-8") if place.is_file() else ""
