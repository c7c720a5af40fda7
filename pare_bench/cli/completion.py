"""What the Tab key offers for registered names; only the plugin modules are imported for it, no component and no torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import typer

#: Set by the scripts that ``--install-completion`` installs.
VARIABLE = "_PARE_BENCH_COMPLETE"
#: Where the scripts of bash, and those of zsh, fish and PowerShell, put the command line so far.
_WORDS = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")

#: Words that are defined where pydantic or numpy would be imported; a test holds both together.
PRESETS = ("cpu", "smoke", "paper")
TIERS = ("generated", "bundled", "official")
TRACKS = ("clean", "paper")
AUTO = "auto"

Offered = list[tuple[str, str]]


def words_to_complete() -> list[str] | None:
    """Return the words after ``pare-bench`` of a command line that is being completed; None where none is."""
    if not os.environ.get(VARIABLE, "").startswith("complete"):
        return None
    text = next((found for name in _WORDS if (found := os.environ.get(name))), "")
    try:
        return shlex.split(text)[1:]
    except ValueError:  # a quote that is still open
        return text.split()[1:]


def names(kind: str) -> Callable[[str], Offered]:
    """Return what completes the registered names of a kind, the last one of ``a,b,...``."""

    def complete(incomplete: str) -> Offered:
        return _offered(_registered(kind), incomplete)

    return complete


def tasks(ctx: typer.Context, incomplete: str) -> Offered:
    """Complete tasks: those of the verb's ``--suite``, where it has one."""
    suite = ctx.params.get("suite")
    with suppress(Exception):  # what is wrong with the suite, or with the registry, is said when the command is called
        from pare_bench.registry.names import Registry

        registry = Registry.from_environment()
        names = registry.spec("suite", suite).tasks if suite else registry.names("task")
        return _offered([(name, registry.spec("task", name).summary) for name in names if name in registry.names("task")], incomplete)
    return []


def presets(incomplete: str) -> Offered:
    """Complete presets."""
    return _offered([(name, "") for name in PRESETS], incomplete)


def presets_or_auto(incomplete: str) -> Offered:
    """Complete presets, and the word that leaves the choice."""
    return _offered([(AUTO, ""), *((name, "") for name in PRESETS)], incomplete)


def tiers(incomplete: str) -> Offered:
    """Complete tiers."""
    return _offered([(name, "") for name in TIERS], incomplete)


def tiers_or_auto(incomplete: str) -> Offered:
    """Complete tiers, and the word that leaves the choice."""
    return _offered([(AUTO, ""), *((name, "") for name in TIERS)], incomplete)


def tracks(incomplete: str) -> Offered:
    """Complete tracks."""
    return _offered([(name, "") for name in TRACKS], incomplete)


def kinds(incomplete: str) -> Offered:
    """Complete the kinds of components."""
    from pare_bench.registry.plugins import KINDS

    return _offered([(kind, "") for kind in KINDS], incomplete)


def kinds_and_names(incomplete: str) -> Offered:
    """Complete what ``show`` takes first: a kind, or a name of any kind."""
    return [*kinds(incomplete), *any_name(incomplete)]


def any_name(incomplete: str) -> Offered:
    """Complete the names of all kinds."""
    from pare_bench.registry.plugins import KINDS

    return _offered(_registered(*KINDS), incomplete)


def name_of_kind(ctx: typer.Context, incomplete: str) -> Offered:
    """Complete the name after a kind."""
    return _offered(_registered(str(ctx.params.get("kind", "")).removesuffix("s")), incomplete)


def plugins(incomplete: str) -> Offered:
    """Complete the names of plugins."""
    with suppress(Exception):
        from pare_bench.registry.plugins import load_plugins

        return _offered([(info.name, f"{info.distribution} {info.version}") for info in load_plugins().infos], incomplete)
    return []


def _registered(*kinds: str) -> Offered:
    """Return names and summaries; nothing where the registry cannot be made, for nobody reads an error in the middle of a line."""
    with suppress(Exception):
        from pare_bench.registry.names import Registry

        registry = Registry.from_environment()
        return [(name, registry.spec(kind, name).summary) for kind in kinds for name in registry.names(kind)]
    return []


def _offered(known: Iterable[tuple[str, str]], incomplete: str) -> Offered:
    """Return those that begin with what follows the last comma, with what stands before it."""
    before, comma, begun = incomplete.rpartition(",")
    taken: Sequence[str] = before.split(",") if comma else ()
    return [(before + comma + name, help_) for name, help_ in known if name.startswith(begun) and name not in taken]
