"""What registering hooks yield: frozen, typed, light entries.

A spec names a component, says in one line what it is and where its class lives (``"module:Class"``). The class is imported only when
it is built, so listing and validating never import torch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import ClassVar

from pare_bench.errors import PluginError

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


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
    """

    kind: ClassVar[str] = "task"
    modality: str
    dense: bool = False
    proxy: bool = False
    tiers: tuple[str, ...] = ("generated",)

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
        PluginError: ``learning_rate`` is neither a positive number nor such a text, or ``models`` is no such text.
    """

    kind: ClassVar[str] = "backbone"
    modality: str
    learning_rate: float | str | None = None
    models: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
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
    """

    kind: ClassVar[str] = "embedder"
    modality: str
    tokens: str | None = None


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
    """A way to learn a predictor. ``slots`` names the component slots that it uses; the others do not enter its run identity."""

    kind: ClassVar[str] = "method"
    slots: tuple[str, ...] = field(default=("backbone", "embedder"))


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(Spec):
    """A way to carry out several runs."""

    kind: ClassVar[str] = "executor"
