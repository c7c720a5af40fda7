"""What registering hooks yield: frozen, typed, light entries.

A spec names a component, says in one line what it is and where its class lives (``"module:Class"``). The class is imported only when
it is built, so listing and validating never import torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pare_bench.errors import PluginError, nearest

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")
#: What ``modality`` can be: of inputs, and of the tokens that a body takes.
MODALITIES = ("image", "sequence", "table")
BODIES = ("image", "sequence")
#: Where data can come from.
TIERS = ("generated", "bundled", "official")
#: Places of a run that hold a component, which a method may use.
SLOTS = ("backbone", "embedder", "selector", "mixer", "aligner", "source")


def _check_word(whose: str, field: str, value: object, known: Sequence[str]) -> None:
    """Check that ``value`` is one of ``known``.

    Raises:
        PluginError: it is not; the message has the nearest one.
    """
    if value not in known:
        close = nearest(value, known) if isinstance(value, str) else None
        raise PluginError(f"{whose} has {field} {value!r}" + (f"; did you mean '{close}'?" if close else ""), hint=f"known: {', '.join(known)}")


def _check_words(whose: str, field: str, values: object, known: Sequence[str] | None = None) -> None:
    """Check that ``values`` is a tuple of different texts, of ``known`` ones where these are given.

    Raises:
        PluginError: it is a text, which would be taken for its letters, or something in it does not fit.
    """
    if not isinstance(values, tuple | list) or not all(isinstance(value, str) for value in values):
        wanted = f"({values!r},)" if isinstance(values, str) else "a tuple of texts"
        raise PluginError(f"{whose} has {field} {values!r}", hint=f"write {field}={wanted}")
    for value in values if known is not None else ():
        _check_word(whose, f"{field} with", value, known or ())
    if len(set(values)) != len(values):
        raise PluginError(f"{whose} has {field} {values!r}", hint="each once")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One registered name.

    Raises:
        PluginError: the name is not ``[a-z][a-z0-9_]*`` or the target is not ``"module:Class"``.
    """

    kind: ClassVar[str] = "component"

    name: str
    summary: str
    target: str

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise PluginError(f"{self.kind} name '{self.name}' is not allowed", hint="use lower-case letters, digits and '_', first a letter")
        if not _TARGET.match(self.target):
            raise PluginError(f"{self.kind} '{self.name}' has target '{self.target}'", hint='write the target as "package.module:Class"')
        if not self.summary.strip():
            raise PluginError(f"{self.kind} '{self.name}' has no summary", hint="say in one line what it is")


@dataclass(frozen=True, kw_only=True)
class TaskSpec(Spec):
    """A data set with its split, target and metrics.

    ``modality`` is ``"image"`` (2-D grid), ``"sequence"`` (1-D grid) or ``"table"`` (1-D grid of columns), which decides embedder and default
    backbone.
    ``dense`` is True where the target has a value per place (fields, masks, pair maps).
    ``proxy`` marks source data that methods learn from and that is not itself a benchmark task.
    ``tiers`` says where its data can come from: ``"generated"``, ``"bundled"`` (real data that a package ships), ``"official"`` (published files).

    Raises:
        PluginError: a modality or tier that there is not, or no tier.
    """

    kind: ClassVar[str] = "task"
    modality: str
    dense: bool = False
    proxy: bool = False
    tiers: tuple[str, ...] = ("generated",)

    def __post_init__(self) -> None:
        super().__post_init__()
        whose = f"task '{self.name}'"
        _check_word(whose, "modality", self.modality, MODALITIES)
        _check_words(whose, "tiers", self.tiers, TIERS)
        if not self.tiers:
            raise PluginError(f"{whose} has no tier", hint=f"known: {', '.join(TIERS)}")

    @property
    def offline_tier(self) -> str | None:
        """The tier that needs no files from outside: ``generated`` or ``bundled``; None where there is none."""
        return next((tier for tier in self.tiers if tier != "official"), None)


@dataclass(frozen=True, kw_only=True)
class SuiteSpec:
    """A named, ordered list of tasks."""

    kind: ClassVar[str] = "suite"
    name: str
    summary: str
    tasks: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise PluginError(f"suite name '{self.name}' is not allowed", hint="use lower-case letters, digits and '_', first a letter")
        if isinstance(self.tasks, str):
            _check_words(f"suite '{self.name}'", "tasks", self.tasks)
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise PluginError(f"suite '{self.name}' needs tasks, each once, got {list(self.tasks)}")


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec):
    """A pretrained body. ``modality`` is ``"image"`` or ``"sequence"``: the token layout that it was trained on.

    ``learning_rate`` says at which rate it can be fine-tuned, where that is less than presets made for the small bundled bodies set: a number,
    or ``"module:function"``, a function that takes the body's parameters and returns the rate. None leaves the preset's.
    ``models``, ``"module:NAME"``, is a tuple of the published models (:class:`~pare_bench.contracts.models.FetchableModel`) that the body takes by
    a short name once ``pare-bench backbones fetch`` has got them.

    Raises:
        PluginError: there is no such modality, ``learning_rate`` is neither a positive number nor such a text, or ``models`` is no such text.
    """

    kind: ClassVar[str] = "backbone"
    modality: str
    learning_rate: float | str | None = None
    models: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_word(f"backbone '{self.name}'", "modality", self.modality, BODIES)
        rate = self.learning_rate
        fits = rate is None or (bool(_TARGET.match(rate)) if isinstance(rate, str) else 0 < rate < math.inf)
        if not fits:
            raise PluginError(f"backbone '{self.name}' has learning_rate '{rate}'", hint='write a positive number, or "package.module:function"')
        if self.models is not None and not _TARGET.match(self.models):
            raise PluginError(f"backbone '{self.name}' has models '{self.models}'", hint='write "package.module:NAME", the name of a tuple')


@dataclass(frozen=True, kw_only=True)
class EmbedderSpec(Spec):
    """A layer that turns inputs of a task into tokens.

    ``modality`` is that of the inputs. ``tokens`` is that of the bodies whose tokens it makes, where they do not lie as the inputs do: ``"image"``
    for an embedder of sequences that makes a picture of them.

    Raises:
        PluginError: there is no such modality.
    """

    kind: ClassVar[str] = "embedder"
    modality: str
    tokens: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_word(f"embedder '{self.name}'", "modality", self.modality, MODALITIES)
        if self.tokens is not None:
            _check_word(f"embedder '{self.name}'", "tokens", self.tokens, BODIES)


@dataclass(frozen=True, kw_only=True)
class SelectorSpec(Spec):
    """A rule that chooses k of N tokens."""

    kind: ClassVar[str] = "selector"


@dataclass(frozen=True, kw_only=True)
class MixerSpec(Spec):
    """A rule that joins target and source tokens, with its curriculum."""

    kind: ClassVar[str] = "mixer"


@dataclass(frozen=True, kw_only=True)
class AlignerSpec(Spec):
    """A distance between target and source features that an embedder can be trained on."""

    kind: ClassVar[str] = "aligner"


@dataclass(frozen=True, kw_only=True)
class MethodSpec(Spec):
    """A way to learn a predictor. ``slots`` names the component slots that it uses; the others do not enter its run identity.

    Raises:
        PluginError: there is no such slot.
    """

    kind: ClassVar[str] = "method"
    slots: tuple[str, ...] = field(default=("backbone", "embedder"))

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_words(f"method '{self.name}'", "slots", self.slots, SLOTS)


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(Spec):
    """A way to carry out several runs."""

    kind: ClassVar[str] = "executor"
