"""Does a source survive mixing? A linear probe of its class, on intact examples and on mixes, with the pretrained body as it is.

PaRe asks for the source's class of a mix in which some of the source's tokens stand, scattered, among the target's. Where no reader can tell the
class from those, the source loss teaches nothing, whatever its weight.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pare_bench.config.resolution import Request, resolve_one
from pare_bench.config.run_config import SLOTS, RunConfig, Size, Slot, parse_overrides
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.embedder import Embedder
from pare_bench.contracts.mixer import Mixer
from pare_bench.contracts.selector import Selector
from pare_bench.contracts.task import Classes, Split, Task
from pare_bench.datasets.run_data import SourceData, source_data, target_data
from pare_bench.errors import DataMissingError, UsageError
from pare_bench.model.devices import check_available
from pare_bench.model.network import to_batch
from pare_bench.model.source import Source
from pare_bench.registry.names import Registry
from pare_bench.seeds import stream, stream_seed

#: The share at which a source is judged; what it must keep of the intact accuracy there, and how many times chance it must reach.
JUDGED, KEPT, TIMES_CHANCE = 0.4, 0.5, 5.0
#: Source examples embedded at a time.
BATCH = 100
#: Method whose slots are those of mixing.
_METHOD = "pare"


@dataclass(frozen=True)
class ProbeRequest:
    """What is probed: the class of ``source`` (None: the preset's) in mixes with examples of ``task``, before any training.

    ``shares`` of the target's tokens are replaced; ``train`` and ``test`` are numbers of source examples; ``overrides`` are ``-o`` texts as ``run``
    takes them. ``seed`` draws embedder, pairs and choices.
    """

    task: str
    source: str | None = None
    backbone: str | None = None
    preset: str = "cpu"
    overrides: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.64, JUDGED, 0.16)
    train: int = 2000
    test: int = 1000
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Reading:
    """Test accuracy of a probe of mixes in which ``replaced`` of ``tokens`` target tokens gave way to the source's."""

    share: float
    replaced: int
    tokens: int
    accuracy: float


@dataclass(frozen=True)
class Probed:
    """What a probe found. ``chance`` is the share of the most frequent class in training, ``intact`` the accuracy on whole source examples."""

    source: str
    task: str
    backbone: str
    classes: int
    train: int
    test: int
    chance: float
    intact: float
    mixes: tuple[Reading, ...]

    def kept(self, accuracy: float) -> float:
        """Return which part of the intact accuracy ``accuracy`` is; 0 where nothing was read at all."""
        return accuracy / self.intact if self.intact else 0.0

    def faults(self) -> list[str]:
        """Return what keeps the source from being fit for mixing; nothing where it is fit.

        Fit: at 40 % replaced the probe keeps at least half of its intact accuracy and reaches five times chance.
        """
        at = next(each for each in self.mixes if each.share == JUDGED)
        found = []
        if at.accuracy < KEPT * self.intact:
            found.append(f"at {JUDGED:.0%} replaced it keeps {self.kept(at.accuracy):.0%} of the intact accuracy, {KEPT:.0%} are asked for")
        if at.accuracy < TIMES_CHANCE * self.chance:
            reached = at.accuracy / self.chance
            found.append(f"at {JUDGED:.0%} replaced it reaches {reached:.1f} times chance, {TIMES_CHANCE:.0f} times are asked for")
        return found


@dataclass(frozen=True)
class ProbeSetting:
    """The parts of a probe, built and loaded: what is left is to compute."""

    request: ProbeRequest
    config: RunConfig
    backbone: Backbone
    embedder: Embedder
    selector: Selector
    mixer: Mixer
    target: Split
    train: Source
    test: Source

    @property
    def source_name(self) -> str:
        """The name of the source."""
        return self.config.source.name if self.config.source else ""


def prepare_probe(registry: Registry, request: ProbeRequest) -> ProbeSetting:
    """Resolve a probe as a run of PaRe with a random gate would be, and load what it needs.

    Raises:
        UsageError: a name, share or option that does not fit; a source without classes; a task that no suite has.
        DataMissingError: files of source, task or weights are not there.
        EnvironmentFault: the device is not there.
    """
    check_available(request.device)
    if JUDGED not in request.shares or not all(0 < share <= 1 for share in request.shares):
        text = ",".join(f"{share:g}" for share in request.shares)
        raise UsageError(f"--shares '{text}' must lie above 0, at most 1, and have {JUDGED:g} among them", hint="--shares 0.64,0.4,0.16")
    config = _config(registry, request)
    task: Task = registry.build("task", config.task.name, config.task.params)
    source = source_data(registry, config)
    if source is None:
        raise UsageError(f"method '{_METHOD}' mixes no source on task '{request.task}'", hint="pare-bench list task")
    torch.manual_seed(stream_seed(*_words(request, "network")))
    device = torch.device(request.device)
    backbone: Backbone = _built(registry, "backbone", config.backbone).to(device).eval()
    embedder: Embedder = _built(registry, "embedder", config.embedder, inputs=task.inputs, backbone=backbone).to(device).eval()
    selector: Selector = registry.build("selector", "random", dim=backbone.dim).to(device)
    mixer: Mixer = _built(registry, "mixer", config.mixer)
    train, test = _examples(source, request)
    return ProbeSetting(request, config, backbone, embedder, selector, mixer, target_data(task, config).splits.train, train, test)


def _built(registry: Registry, slot: str, chosen: Slot | None, **runtime: object) -> Any:
    if chosen is None:
        raise UsageError(f"method '{_METHOD}' has no slot '{slot}' here", hint=f"pare-bench show method {_METHOD}")
    return registry.build(SLOTS[slot], chosen.name, chosen.params, **runtime)


def _words(request: ProbeRequest, *words: str | int) -> tuple[str | int, ...]:
    return ("source probe", request.task, request.seed, *words)


def _config(registry: Registry, request: ProbeRequest) -> RunConfig:
    suite = next((name for name in registry.names("suite") if request.task in registry.spec("suite", name).tasks), None)
    if suite is None:
        registry.entry("task", request.task)
        raise UsageError(f"task '{request.task}' is in no suite, so nothing says what it is mixed with", hint="pare-bench list suite")
    given = tuple(f"{slot}={name}" for slot, name in (("source", request.source), ("backbone", request.backbone)) if name is not None)
    asked = Request(
        _METHOD, suite, (request.task,), preset=request.preset, tier=_tier(registry, request.task), overrides=(*given, *request.overrides)
    )
    config = resolve_one(registry, asked, request.task, request.seed, parse_overrides(asked.overrides))
    size = None if config.source_size is None else Size(train=request.train, val=1, test=request.test)
    return config.model_copy(update={"source_size": size})


def _tier(registry: Registry, task: str) -> str:
    return registry.spec("task", task).offline_tier or "official"


def _examples(source: SourceData, request: ProbeRequest) -> tuple[Source, Source]:
    """Return the source's training and test examples; where its files have no test part, the end of the training part is held out.

    Raises:
        UsageError: the source has no classes.
        DataMissingError: it has too few examples.
    """
    target, splits = source.task.target, source.data.splits
    if not isinstance(target, Classes):
        raise UsageError(
            f"task '{source.task.name}' cannot be a source: its target is {type(target).__name__}, not Classes", hint="pare-bench list task"
        )
    train, test = splits.train, splits.test
    if not len(test):
        held = min(request.test, len(train) // 3)
        train, test = train.take(np.arange(len(train) - held)), train.take(np.arange(len(train) - held, len(train)))
    train, test = (part.take(np.arange(min(len(part), count))) for part, count in ((train, request.train), (test, request.test)))
    if len(np.unique(np.asarray(train.targets))) < 2 or not len(test):
        raise DataMissingError(
            f"source '{source.task.name}' has {len(train)} training and {len(test)} test examples, too few to probe", hint="--train 2000 --test 1000"
        )
    plain, other = (Source(part, target.num, embedded=source.task.embedded) for part in (train, test))
    return plain, other


def probe(setting: ProbeSetting, advance: Callable[[int], None]) -> Probed:
    """Probe intact examples and mixes of every share; ``advance`` is told how many examples are done after each batch.

    The probe is multinomial logistic regression on standardised features, which are the body's, averaged over places.
    """
    request, sources = setting.request, {"train": setting.train, "test": setting.test}
    labels = {part: np.asarray(source.labels) for part, source in sources.items()}
    intact = {part: _features(setting, source, _intact, advance) for part, source in sources.items()}
    mixes = []
    for share in request.shares:
        replaced = _replaced(setting, share)
        found = {}
        for part, source in sources.items():
            torch.manual_seed(stream_seed(*_words(request, part, replaced)))
            partners = stream(*_words(request, "partners", part)).integers(0, len(setting.target), len(source.inputs))
            found[part] = _features(setting, source, partial(_mixed, setting, partners, replaced), advance)
        mixes.append(Reading(share, replaced, setting.embedder.num_tokens, _accuracy(found, labels)))
    return Probed(
        source=setting.source_name,
        task=request.task,
        backbone=setting.config.backbone.name if setting.config.backbone else "",
        classes=setting.train.num_classes,
        train=len(labels["train"]),
        test=len(labels["test"]),
        chance=float(np.bincount(labels["train"]).max() / len(labels["train"])),
        intact=_accuracy(intact, labels),
        mixes=tuple(mixes),
    )


def _replaced(setting: ProbeSetting, share: float) -> int:
    """Return how many of the target's tokens give way: the share, or all source tokens where there are fewer, as in training."""
    length = setting.train.tokens(setting.backbone, torch.zeros(1, dtype=torch.long), torch.device(setting.request.device)).shape[1]
    return min(round(share * setting.embedder.num_tokens), length)


def _intact(rows: NDArray[np.int64], tokens: Tensor) -> Tensor:  # noqa: ARG001 - as a mix is made
    return tokens


def _mixed(setting: ProbeSetting, partners: NDArray[np.int64], replaced: int, rows: NDArray[np.int64], tokens: Tensor) -> Tensor:
    """Return target tokens of which ``replaced`` gave way to tokens of the source examples ``rows``."""
    inputs = to_batch(setting.target.take(partners[rows]), tokens.device).inputs
    host = setting.embedder(inputs)
    keep, take = setting.selector(host, host.shape[1] - replaced), setting.selector(tokens, replaced)
    return setting.mixer(host, tokens, keep, take).tokens


@torch.no_grad()
def _features(
    setting: ProbeSetting, source: Source, made: Callable[[NDArray[np.int64], Tensor], Tensor], advance: Callable[[int], None]
) -> NDArray[np.float32]:
    """Return the body's features of what is ``made`` of each source example, averaged over places: [n feats]."""
    pooled = []
    for rows in _batches(len(source.inputs)):
        tokens = source.tokens(setting.backbone, torch.from_numpy(rows), torch.device(setting.request.device))
        pooled.append(setting.backbone(made(rows, tokens)).mean(1).float().cpu().numpy())
        advance(len(rows))
    return np.concatenate(pooled)


def _batches(count: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, BATCH):
        yield np.arange(start, min(start + BATCH, count))


def _accuracy(features: dict[str, NDArray[np.float32]], labels: dict[str, NDArray[np.int64]]) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        # The steps are part of what is measured: a body whose classes take more to tell apart tells them worse.
        warnings.simplefilter("ignore", ConvergenceWarning)
        reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(features["train"], labels["train"])
    return float(reader.score(features["test"], labels["test"]))


def total_examples(setting: ProbeSetting) -> int:
    """Return how many examples :func:`probe` will have done."""
    return (len(setting.train.inputs) + len(setting.test.inputs)) * (1 + len(setting.request.shares))


def as_shares(text: str) -> Sequence[float]:
    """Return the numbers of a list such as ``0.64,0.4,0.16``.

    Raises:
        UsageError: it is none.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--shares '{text}' is no list of numbers", hint="--shares 0.64,0.4,0.16") from error
