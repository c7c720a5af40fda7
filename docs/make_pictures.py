"""Draw one sheet of samples for each generated task of NAS-Bench-360: ``python docs/make_pictures.py [TASK ...]``.

A sheet holds examples of the training split (seed 0) with their targets and goes to ``docs/suites/pictures/<task>.png``. Needs matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pare_bench.contracts.task import SimulatedTask, Split, TaskSize

FOLDER = Path(__file__).parent / "suites" / "pictures"
CLASSES = {
    "cifar100": "Cifar100",
    "spherical": "Spherical",
    "ninapro": "Ninapro",
    "fsd50k": "Fsd50k",
    "darcy_flow": "DarcyFlow",
    "psicov": "Psicov",
    "cosmic": "Cosmic",
    "ecg": "Ecg",
    "satellite": "Satellite",
    "deepsea": "Deepsea",
}


def load(name: str) -> SimulatedTask:
    """Return task ``name`` with the parameters of preset ``smoke``."""
    owner = getattr(import_module(f"pare_bench.builtin.suites.nas360.{name}"), CLASSES[name])
    return owner(owner.Params(**owner.preset_params.get("smoke", {})))


def sample(task: SimulatedTask, count: int) -> Split:
    """Return ``count`` training examples, of different classes where the task has classes."""
    train = task.generated(0, TaskSize(max(task.chunk, 2), 2, 2)).train
    chosen = np.arange(len(train))
    if train.targets.ndim == 1:
        chosen = np.sort(np.unique(train.targets, return_index=True)[1])
    return train.take(chosen[:count])


def grid(rows: int, columns: int, width: float = 8.0, height: float = 3.0) -> tuple[Figure, np.ndarray]:
    """Return a figure with ``[rows columns]`` small axes without ticks."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    return figure, axes


def image(axis: Axes, values: np.ndarray, title: str = "", **style: object) -> None:
    """Draw a 2-D array (or height x width x 3) with a small title."""
    axis.imshow(values, interpolation="nearest", **style)
    axis.set_title(title, fontsize=7)


def photographs(task: SimulatedTask) -> Figure:
    """Colour images with their class."""
    split = sample(task, 12)
    figure, axes = grid(2, 6)
    for axis, picture, label in zip(axes.flat, split.inputs, split.targets, strict=True):
        low, high = picture.min(), picture.max()
        image(axis, np.moveaxis((picture - low) / (high - low), 0, -1), f"class {label}")
    return figure


def maps(task: SimulatedTask) -> Figure:
    """One-channel inputs as maps over time."""
    split = sample(task, 6)
    figure, axes = grid(2, 3)
    for axis, picture, target in zip(axes.flat, split.inputs[:, 0], split.targets, strict=True):
        title = f"{int(target.sum())} labels" if np.ndim(target) else f"class {target}"
        image(axis, picture, title, aspect="auto", origin="lower", cmap="viridis")
        axis.set(xlabel="time", ylabel="channel" if np.ndim(target) == 0 else "mel band")
    return figure


def darcy(task: SimulatedTask) -> Figure:
    """Coefficient above, solution below."""
    split = sample(task, 5)
    figure, axes = grid(2, 5, height=3.5)
    for column in range(5):
        image(axes[0, column], split.inputs[column, 0], "coefficient (normalised)", cmap="gray")
        image(axes[1, column], split.targets[column], "solution", cmap="magma")
    return figure


def proteins(task: SimulatedTask) -> Figure:
    """Two channels and the distances; the last two proteins are simulated chains."""
    from pare_bench.builtin.suites.nas360.psicov import real_windows

    first = sample(task, 4)
    chunk = len(real_windows(task.target.size - 10)["train"]) // task.chunk + 1
    later = task.simulate("train", task.chunk, chunk, np.random.default_rng(0)).take(np.arange(2))
    figure, axes = grid(3, 6, height=4.2)
    for column in range(6):
        split, row = (first, column) if column < 4 else (later, column - 4)
        kind = "real" if column < 4 else "simulated"
        image(axes[0, column], split.inputs[row, 0].astype(np.float32), f"{kind}: channel 0", cmap="viridis")
        image(axes[1, column], split.inputs[row, 54].astype(np.float32), "ccmpred, channel 54", cmap="viridis", vmin=-0.5, vmax=1.5)
        image(axes[2, column], np.minimum(split.targets[row], 20), f"distance, {split.extras['lengths'][row]} residues", cmap="magma_r")
    return figure


def skies(task: SimulatedTask) -> Figure:
    """Image above (arcsinh scale), cosmic-ray mask below, ignored pixels grey."""
    split = sample(task, 4)
    figure, axes = grid(2, 4, height=4.2)
    for column in range(4):
        picture = split.inputs[column, 0]
        low, high = np.quantile(picture, (0.01, 0.995))
        image(axes[0, column], np.arcsinh(5 * (picture - low) / (high - low)), "image", cmap="gray", vmin=0, vmax=2.3)
        shown = np.where(split.extras["ignore"][column], 0.5, split.targets[column])
        image(axes[1, column], shown, "mask (grey: ignored)", cmap="gray", vmin=0, vmax=1)
    return figure


def curves(task: SimulatedTask) -> Figure:
    """One line per example."""
    split = sample(task, 8)
    rows = 4
    figure, axes = grid(rows, 2 if len(split) > rows else 1, height=4.0)
    for axis, series, label in zip(axes.T.flat, split.inputs[:, 0], split.targets, strict=False):
        axis.plot(series, linewidth=0.8)
        axis.set_title(f"class {label}", fontsize=7)
    return figure


def sequences(task: SimulatedTask) -> Figure:
    """Base content in windows of 20, the central bin marked, with the labels; below, central bases of one sequence."""
    split = sample(task, 5)
    from pare_bench.simulators import chromatin

    figure, axes = grid(6, 1, height=5.0)
    colours = ("tab:green", "tab:blue", "tab:orange", "tab:red")
    for axis, bases, labels in zip(axes[:5, 0], split.inputs, split.targets, strict=True):
        share = np.apply_along_axis(np.convolve, 1, bases, np.full(20, 0.05), "valid")
        axis.stackplot(np.arange(share.shape[1]) + 10, share, colors=colours, labels=list(chromatin.BASES), linewidth=0)
        axis.axvspan(*chromatin.BIN, fill=False, edgecolor="black")
        axis.set(xlim=(0, chromatin.LENGTH), ylim=(0, 1))
        axis.set_title(", ".join(chromatin.MOTIFS[index] for index in np.flatnonzero(labels)) or "no label", fontsize=7)
    axes[0, 0].legend(loc="upper right", fontsize=6, ncols=4)
    image(axes[5, 0], split.inputs[0][:, 400:600], "bases 400 to 599 of the first sequence (rows A, C, G, T)", aspect="auto", cmap="gray_r")
    return figure


SHEETS: dict[str, Callable[[SimulatedTask], Figure]] = {
    "cifar100": photographs,
    "spherical": photographs,
    "ninapro": maps,
    "fsd50k": maps,
    "darcy_flow": darcy,
    "psicov": proteins,
    "cosmic": skies,
    "ecg": curves,
    "satellite": curves,
    "deepsea": sequences,
}


def main(names: list[str]) -> int:
    """Draw the sheets of ``names`` (all when empty); return 2 when a name is unknown."""
    unknown = sorted(set(names) - set(SHEETS))
    if unknown:
        sys.stderr.write(f"no sheet for {', '.join(unknown)}; known: {', '.join(SHEETS)}\n")
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or SHEETS:
        figure = SHEETS[name](load(name))
        # 40 colours suffice for these sheets and keep the files small.
        figure.savefig(FOLDER / f"{name}.png", dpi=120, metadata={"Software": None})
        plt.close(figure)
        _quantise(FOLDER / f"{name}.png")
    return 0


def _quantise(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(40, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
