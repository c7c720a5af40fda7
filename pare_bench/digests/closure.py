"""The code that a component's numbers depend on: what its module imports, followed wherever the source may change under our feet.

Followed are our own packages, the packages that the component itself and other plugins stand in, and everything that is not an installed
distribution as it was installed: editable installs, modules found by path, classes of a notebook (:mod:`pare_bench.digests.live`). Of an installed
distribution name and version count, and files of it that were changed by hand. Imports inside functions are followed, and modules named in texts
(``"package.module:function"``); imports for types, and names that are put together at run time, are not.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pare_bench.digests.distributions import Distribution, Distributions
from pare_bench.digests.files import sha256_of
from pare_bench.digests.live import text_of
from pare_bench.digests.sources import Sources
from pare_bench.digests.syntax import DIGITS, Syntax, read_syntax

#: Packages of ours; they are followed even where they are installed.
OURS = frozenset({"pare_bench", "pare_bench_baselines"})
#: Rooms and modules of ours that carry names, options and messages about and never touch a number; a change there must not make every record stale.
PLUMBING = frozenset(
    {
        "pare_bench",
        "pare_bench.config",
        "pare_bench.digests",
        "pare_bench.errors",
        "pare_bench.provenance",
        "pare_bench.records",
        "pare_bench.registry",
        "pare_bench.training.progress",
    }
)
#: Files in a package that are neither code nor data.
_NO_DATA = frozenset({".py", ".pyc", ".pyo", ".pyi", ".md", ".rst", ".ipynb"})


@dataclass(frozen=True)
class Closure:
    """Code, part by part.

    ``code`` has a digest for each module, for each data file of the packages that are followed (``package/file.npz``), and for each file of an
    installed distribution that was changed by hand. ``wiring`` is a digest over which imported name stands for what. ``libraries`` are the full
    versions of the installed distributions that are imported, by package; ``imported`` says by which modules.
    """

    code: Mapping[str, str]
    wiring: str
    libraries: Mapping[str, str]
    imported: Mapping[str, frozenset[str]]

    @property
    def sha256(self) -> str:
        """One digest over code and wiring, without any name."""
        return combined(self.code.values(), self.wiring)


def combined(digests: Iterable[str], wiring: str) -> str:
    """Return one SHA-256 over the digests of modules, in whatever order, and how they are wired."""
    return hashlib.sha256("\n".join([*sorted(digests), wiring]).encode()).hexdigest()


def is_plumbing(module: str) -> bool:
    """Return whether a module of ours never touches a number."""
    return module in PLUMBING or ".".join(module.split(".", 2)[:2]) in PLUMBING


@dataclass(frozen=True)
class _Leads:
    """Where imports lead: modules that are followed, and packages that are not."""

    modules: tuple[str, ...]
    outside: frozenset[str]


@dataclass(frozen=True)
class _Wired:
    """What imported names stand for: lines of the ``used`` ones, (name, line) of the ``idle`` ones, and the (module, name) that it asks of others."""

    used: frozenset[str]
    idle: tuple[tuple[str, str], ...]
    asks: frozenset[tuple[str, str]]


class Code:
    """Reads sources and follows imports. What has been read stays as it was: make a new one to see what has changed since."""

    def __init__(self) -> None:
        self._distributions = Distributions()
        self._sources = Sources()
        self._paths: dict[str, Path | None] = {}
        self._syntaxes: dict[str, Syntax | None] = {}
        self._closures: dict[tuple[str, ...], Closure] = {}
        self._known_leads: dict[tuple[str, frozenset[str]], _Leads] = {}
        self._known_wires: dict[tuple[str, frozenset[str], tuple[str, ...]], _Wired] = {}
        self._known_followed: dict[tuple[str, frozenset[str]], bool] = {}

    def closure(self, targets: Iterable[str], *, without: Iterable[str] = ()) -> Closure:
        """Return the code behind ``targets``: modules, or names in modules (``"package.module:Class"``).

        Modules of ours in or below ``without`` are not followed.
        """
        wanted, left_out = tuple(sorted(set(targets))), tuple(sorted(set(without)))
        key = (*wanted, "without", *left_out)
        if key not in self._closures:
            self._closures[key] = self._follow(wanted, left_out)
            self._sources.save()
        return self._closures[key]

    def owners(self, package: str) -> tuple[Distribution, ...]:
        """Return the installed distributions that a top-level package belongs to; see :meth:`Distributions.owners`."""
        return self._distributions.owners(package)

    def _follow(self, targets: tuple[str, ...], without: tuple[str, ...]) -> Closure:
        own = frozenset(target.partition(":")[0].partition(".")[0] for target in targets)
        found: set[str] = set()
        outside: dict[str, set[str]] = {}
        queue = [target.partition(":")[0] for target in targets]
        while queue:
            module = queue.pop()
            if module in found or is_plumbing(module) or _is_below(module, without) or self._syntax(module) is None:
                continue
            found.add(module)
            leads = self._leads(module, own)
            queue += leads.modules
            for package in leads.outside:
                outside.setdefault(package, set()).add(module)
        code = {module: own_digest for module in found if (own_digest := self._own(module))}
        code |= dict(self._data({module.partition(".")[0] for module in found} - OURS))
        libraries: dict[str, str] = {}
        for package in sorted(outside):
            for distribution in self._distributions.owners(package):
                libraries[package if self._is_only(package) else distribution.name] = distribution.version
                code |= {name: self._digest(path) for name, path in self._distributions.changed(distribution).items()}
        wires = sorted(self._wires(found, targets, own, without))
        wiring = hashlib.sha256("\n".join(wires).encode()).hexdigest()[:DIGITS]
        return Closure(code, wiring, libraries, {package: frozenset(modules) for package, modules in outside.items()})

    def _leads(self, module: str, own: frozenset[str]) -> _Leads:
        """Return where the imports of a module lead; found out once."""
        key = (module, own)
        if key not in self._known_leads:
            syntax = self._syntax(module)
            names = (*syntax.imports, *(text for text, _ in syntax.texts)) if syntax is not None else ()
            followed, outside = [], set()
            for name in names:
                package = name.partition(".")[0]
                if self._followed(package, own):
                    followed.append(name)
                elif package not in sys.stdlib_module_names:
                    outside.add(package)
            # Importing a module runs the packages around it.
            followed += [module.rpartition(".")[0]] if "." in module else []
            there = tuple(name for name in dict.fromkeys(followed) if not is_plumbing(name) and self._syntax(name) is not None)
            self._known_leads[key] = _Leads(there, frozenset(outside))
        return self._known_leads[key]

    def _followed(self, package: str, own: frozenset[str]) -> bool:
        key = (package, own)
        if key not in self._known_followed:
            self._known_followed[key] = self._is_followed(package, own)
        return self._known_followed[key]

    def _is_followed(self, package: str, own: frozenset[str]) -> bool:
        if package in OURS or package in own:
            return True
        if package in sys.stdlib_module_names or self._distributions.place(package) is None:
            return False
        owners: tuple[Distribution, ...] = self._distributions.owners(package)
        return not owners or any(owner.plugin for owner in owners)

    def _is_only(self, package: str) -> bool:
        return len(self._distributions.owners(package)) == 1

    def _syntax(self, module: str) -> Syntax | None:
        if module not in self._syntaxes:
            text = text_of(module)
            if text is not None:
                # Of this process alone: there is no file to remember it by.
                self._syntaxes[module] = read_syntax(text, module, OURS | {module.partition(".")[0]})
                return self._syntaxes[module]
            path = self._source(module)
            readable = path is not None and path.suffix == ".py"
            package = module if path is not None and path.name == "__init__.py" else module.rpartition(".")[0]
            syntax = self._sources.syntax(path, package, OURS | {module.partition(".")[0]}) if readable and path is not None else None
            if syntax is None and path is not None:
                # Compiled, or not to be parsed: there is nothing to follow, and its bytes count.
                syntax = Syntax(sha256_of(path)[:DIGITS], (), (), frozenset(), ())
            self._syntaxes[module] = syntax
        return self._syntaxes[module]

    def _source(self, module: str) -> Path | None:
        """Return the file of a module, without importing it or a package around it."""
        if module not in self._paths:
            self._paths[module] = self._locate(module)
        return self._paths[module]

    def _locate(self, module: str) -> Path | None:
        top, *rest = module.split(".")
        place = self._distributions.place(top)
        if place is None:
            return None
        if not rest:
            return Path(place.origin) if place.origin else None
        for folder in place.folders:
            for candidate in (Path(folder, *rest).with_suffix(".py"), Path(folder, *rest, "__init__.py")):
                if candidate.is_file():
                    return candidate
            parent = Path(folder, *rest[:-1])
            if parent.is_dir():
                for binary in sorted([*parent.glob(f"{rest[-1]}.*.so"), *parent.glob(f"{rest[-1]}.so"), *parent.glob(f"{rest[-1]}.*.pyd")]):
                    return binary
        return None

    def _data(self, packages: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield the data files that lie in packages beside their code."""
        for package in packages:
            place = self._distributions.place(package)
            for folder in map(Path, place.folders if place is not None else ()):
                for path in sorted(folder.rglob("*")):
                    inside = path.relative_to(folder)
                    hidden = any(part.startswith((".", "__pycache__")) for part in inside.parts)
                    if not hidden and path.suffix not in _NO_DATA and path.is_file():
                        yield f"{package}/{inside.as_posix()}", sha256_of(path)[:DIGITS]

    def _digest(self, path: Path) -> str:
        syntax = self._sources.syntax(path, "", OURS) if path.suffix == ".py" else None
        return (syntax.own if syntax is not None and syntax.own else sha256_of(path))[:DIGITS]

    def _wires(self, found: Collection[str], targets: Iterable[str], own: frozenset[str], without: tuple[str, ...]) -> set[str]:
        """Return what each imported name that is used stands for; where a module stands does not matter, only what is in it."""
        asked = {(module, attribute) for module, _, attribute in (target.partition(":") for target in targets)}
        asked = asked.union(*(self._wired(module, own, without).asks for module in found))
        lines: set[str] = set()
        for module in found:
            wired = self._wired(module, own, without)
            lines |= wired.used
            # A name may be there for others to import.
            lines.update(line for name, line in wired.idle if (module, name) in asked or (module, "*") in asked)
        return lines

    def _wired(self, module: str, own: frozenset[str], without: tuple[str, ...]) -> _Wired:
        """Return the wires of a module; found out once."""
        key = (module, own, without)
        if key not in self._known_wires:
            syntax = self._syntax(module)
            bindings, texts = (syntax.bindings, syntax.texts) if syntax is not None else ((), ())
            used, idle = set(), []
            for binding in bindings:
                line = f"{self._own(module)} {binding.name} {self._meant(binding.module, binding.attribute, own, without)}"
                if syntax is not None and (binding.name in syntax.used or binding.attribute == "*"):
                    used.add(line)
                else:
                    idle.append((binding.name, line))
            used |= {f"{self._own(module)} text {self._meant(named, attribute, own, without)}" for named, attribute in texts}
            asks = frozenset({(binding.module, binding.attribute) for binding in bindings} | set(texts))
            self._known_wires[key] = _Wired(frozenset(used), tuple(idle), asks)
        return self._known_wires[key]

    def _own(self, module: str) -> str:
        syntax = self._syntax(module)
        return syntax.own if syntax is not None else ""

    def _meant(self, module: str, attribute: str, own: frozenset[str], without: tuple[str, ...]) -> str:
        """Return what ``attribute`` of ``module`` is: a module, or something in one, by its digest, or by its name where none counts."""
        for name, rest in ((f"{module}.{attribute}", ""), (module, attribute)) if attribute else ((module, ""),):
            if is_plumbing(name):
                continue
            followed = self._followed(name.partition(".")[0], own) and not _is_below(name, without)
            syntax = self._syntax(name) if followed else None
            if syntax is not None:
                return f"{syntax.own}:{rest}"
        return f"plumbing:{attribute}" if is_plumbing(module) else f"{module}:{attribute}"


def _is_below(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)
