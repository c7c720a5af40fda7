"""The code that a component's numbers depend on: what its module imports, followed wherever the source may change under our feet.

Followed are our own packages, the packages that the component itself and other plugins stand in, and everything that is not an installed
distribution as it was installed: editable installs, modules found by path. Of an installed distribution name and version count, and files of it that
were changed by hand. Imports inside functions are followed, and modules named in texts (``"package.module:function"``); imports for types, and
names that are put together at run time, are not.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pare_bench.digests.distributions import Distribution, Distributions
from pare_bench.digests.files import sha256_of
from pare_bench.digests.sources import Sources
from pare_bench.digests.syntax import DIGITS, Syntax

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
        "pare_bench.version",
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


class Code:
    """Reads sources and follows imports. What has been read stays as it was: make a new one to see what has changed since."""

    def __init__(self) -> None:
        self._distributions = Distributions()
        self._sources = Sources()
        self._paths: dict[str, Path | None] = {}
        self._syntaxes: dict[str, Syntax | None] = {}
        self._closures: dict[tuple[str, ...], Closure] = {}

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
        found: dict[str, Syntax] = {}
        outside: dict[str, set[str]] = {}
        queue = [target.partition(":")[0] for target in targets]
        while queue:
            module = queue.pop()
            if module in found or is_plumbing(module) or any(module == each or module.startswith(f"{each}.") for each in without):
                continue
            syntax = self._syntax(module)
            if syntax is None:
                continue
            found[module] = syntax
            for name in (*syntax.imports, *(text for text, _ in syntax.texts)):
                package = name.partition(".")[0]
                if self._followed(package, own):
                    queue.append(name)
                elif package not in sys.stdlib_module_names:
                    outside.setdefault(package, set()).add(module)
            # Importing a module runs the packages around it.
            queue += [module.rpartition(".")[0]] if "." in module else []
        packages = {module.partition(".")[0] for module in found}
        code = {module: syntax.own for module, syntax in found.items() if syntax.own}
        code |= dict(self._data(packages - OURS))
        libraries: dict[str, str] = {}
        for package in sorted(outside):
            for distribution in self._distributions.owners(package):
                libraries[package if self._is_only(package) else distribution.name] = distribution.version
                code |= {name: self._digest(path) for name, path in self._distributions.changed(distribution).items()}
        wiring = hashlib.sha256("\n".join(sorted(set(self._wires(found, targets)))).encode()).hexdigest()[:DIGITS]
        return Closure(code, wiring, libraries, {package: frozenset(modules) for package, modules in outside.items()})

    def _followed(self, package: str, own: frozenset[str]) -> bool:
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

    def _wires(self, found: Mapping[str, Syntax], targets: Iterable[str]) -> Iterator[str]:
        """Yield what each imported name that is used stands for; where a module stands does not matter, only what is in it."""
        asked = {(module, attribute) for module, _, attribute in (target.partition(":") for target in targets)}
        for syntax in found.values():
            asked |= {(binding.module, binding.attribute) for binding in syntax.bindings}
            asked |= {(module, attribute) for module, attribute in syntax.texts}
        for module, syntax in found.items():
            for binding in syntax.bindings:
                # A name may be there for others to import.
                if binding.name in syntax.used or (module, binding.name) in asked or binding.attribute == "*" or (module, "*") in asked:
                    yield f"{syntax.own} {binding.name} {self._meant(found, binding.module, binding.attribute)}"
            for named, attribute in syntax.texts:
                yield f"{syntax.own} text {self._meant(found, named, attribute)}"

    def _meant(self, found: Mapping[str, Syntax], module: str, attribute: str) -> str:
        inner = f"{module}.{attribute}"
        if attribute and inner in found:
            return f"{found[inner].own}:"
        if module in found:
            return f"{found[module].own}:{attribute}"
        if is_plumbing(module) or is_plumbing(inner):
            return f"plumbing:{attribute}"
        return f"{module}:{attribute}"
