"""What the words of options mean, the same in every verb: lists and wildcards of names, seeds, and words of which there are only a few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, get_args

import typer

from pare_bench.cli import completion
from pare_bench.errors import UsageError, check_tasks, nearest


class TextFormat(StrEnum):
    """Formats of verbs that otherwise say what they have done in a line or two."""

    TEXT = "text"
    JSON = "json"


TextOption = Annotated[TextFormat, typer.Option("--format", help="json: one document on stdout.")]

#: Options that several verbs have, the same in each.
SuiteOption = Annotated[str, typer.Option("--suite", "-s", help="Suite: pare-bench list suite.", autocompletion=completion.names("suite"))]
TasksOption = Annotated[
    list[str] | None, typer.Option("--task", "-t", help="Only these tasks: a,b or repeated; wildcards.", autocompletion=completion.tasks)
]
TrackOption = Annotated[str, typer.Option(help="Track of the runs.", autocompletion=completion.tracks)]
OutOption = Annotated[Path, typer.Option(help="Folder of the records.")]

#: Seeds of one command; more are a slip of the finger.
_SEEDS = 100_000
_WILD = frozenset("*?[")
AUTO = "auto"


class Fresh(StrEnum):
    """What is run again although it would be served."""

    LIBRARIES = "libraries"


class Predictions(StrEnum):
    """How much of the predictions is kept beside the records."""

    NONE = "none"
    COMPACT = "compact"
    FULL = "full"


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of ``0``, ``0-4`` or ``0,2,5-7``, each once, in order.

    Raises:
        UsageError: the text is none of these.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UsageError(f"--seeds '{text}' is not a list of seeds", hint="write --seeds 0, --seeds 0-4 or --seeds 0,2,5")
        if len(seeds) + int(last or first) - int(first) >= _SEEDS:
            raise UsageError(f"--seeds '{text}' are more than {_SEEDS:,} seeds", hint="--seeds 0-4")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(seeds))


def split_names(words: Iterable[str] | None) -> Iterator[str]:
    """Yield the names in words such as ``a`` and ``a,b``; commas inside the brackets of a variant's label part nothing."""
    for word in words or ():
        depth, name = 0, ""
        for letter in word:
            depth += {"[": 1, "]": -1}.get(letter, 0)
            if letter == "," and depth <= 0:
                yield name.strip()
                name = ""
            else:
                name += letter
        yield name.strip()


def chosen_names(words: Iterable[str] | None, known: Sequence[str], option: str) -> tuple[str, ...]:
    """Return the names that an option asks for, each once; ``*`` and the like stand for all ``known`` names that match, in their order.

    A plain name is passed on, known or not.

    Raises:
        UsageError: an empty name, or a pattern that nothing matches.
    """
    chosen: list[str] = []
    for name in split_names(words):
        if not name:
            raise UsageError(f"{option} has an empty name", hint=f"write {option} {known[0] if known else 'NAME'}, or {option} A,B")
        if name in known or not _WILD & set(name) or name.endswith("]"):
            chosen.append(name)
            continue
        found = [each for each in known if fnmatchcase(each, name)]
        if not found:
            raise UsageError(f"{option} '{name}' matches nothing", hint=f"there are: {', '.join(known)}")
        chosen += found
    return tuple(dict.fromkeys(chosen))


def chosen_tasks(words: Iterable[str] | None, suite: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the tasks of a suite that ``--task`` asks for.

    Raises:
        UsageError: the suite has no such task, or none that matches.
    """
    tasks = chosen_names(words, known, "--task")
    check_tasks(tasks, suite, known)
    return tasks


def checked_word(kind: str, word: str | None, known: Sequence[str]) -> str | None:
    """Return the value of an option of which there are only a few; None: it is not given.

    Raises:
        UsageError: it is none of them; the message has the nearest one.
    """
    if word is not None and word not in known:
        close = nearest(word, known)
        meant = f"; did you mean '{close}'?" if close else ""
        *first, last = (f"'{each}'" for each in known)
        there_are = f"{', '.join(first)} or {last}" if first else last
        raise UsageError(f"unknown {kind} '{word}'{meant} known: {there_are}", hint=f"--{kind} {close or known[0]}")
    return word


def checked_tier(word: str | None, *more: str) -> str | None:
    """Return ``--tier``; ``more`` are words that the verb takes besides the tiers."""
    if word is None:
        return None
    from pare_bench.config.run_config import Tier

    return checked_word("tier", word, (*more, *get_args(Tier)))


def checked_track(word: str | None) -> str | None:
    """Return ``--track``."""
    if word is None:
        return None
    from pare_bench.contracts.size import Track

    return checked_word("track", word, get_args(Track))


def checked_preset(word: str | None, *more: str) -> str | None:
    """Return ``--preset``; ``more`` are words that the verb takes besides the presets."""
    if word is None:
        return None  # what says which presets there are needs numpy
    from pare_bench.config.presets import PRESETS

    return checked_word("preset", word, (*more, *PRESETS))
