"""Pretrain ``nano_swin``: which texture and which fractal is this, whole and mixed, and which places are foreground.

Run as ``python -m pare_bench.pretraining nano_swin --work FOLDER --out FOLDER``. Every step draws from its own named stream, so a run that was
stopped continues from its state as if it had never stopped. Same versions of the dependencies, same kind of machine, as many threads: same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import platform
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from pare_bench.errors import UsageError
from pare_bench.pretraining.vision_batches import batches
from pare_bench.pretraining.vision_model import Loss, Pretraining, step_loss, weight_groups
from pare_bench.pretraining.vision_scores import digits_probe, evaluate, held_out
from pare_bench.pretraining.vision_state import Saved, read_state, take_up, write_state
from pare_bench.seeds import stream_seed

log = logging.getLogger(__name__)

WEIGHTS, CARD = "nano_swin.safetensors", "nano_swin.json"
#: The newest state, and the newest one from before the cool-down, from which a longer run goes on.
STATE, CONSTANT = "nano_swin_state.safetensors", "nano_swin_constant.safetensors"
#: Flags of processors that multiply bfloat16 themselves; others are slower with it than without.
_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights. ``batch`` images are rendered for each step; half of them are shown whole and half mixed."""

    seed: int = 0
    steps: int = 14000
    batch: int = 64
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    cooldown_steps: int = 2500
    weight_decay: float = 0.05
    mask_weight: float = 0.5
    clip: float = 1.0
    precision: str = "bfloat16"


def best_precision(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return ``bfloat16`` on a processor that has it, ``float32`` elsewhere and where the system does not say."""
    try:
        lines = cpuinfo.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return "float32"
    flags = {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.partition(":")[2].split()}
    return "bfloat16" if flags & _BFLOAT16 else "float32"


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, a constant rate, and half a cosine down to zero in the last ``cooldown_steps``.

    Before the cool-down the rate does not depend on ``steps``: a longer run continues a shorter one's checkpoint exactly.
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    cooled = min(1.0, max(0.0, (step - recipe.steps + recipe.cooldown_steps) / recipe.cooldown_steps))
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * cooled))


def build(recipe: Recipe) -> tuple[Pretraining, torch.optim.AdamW]:
    """Return the untrained network and its optimiser."""
    torch.manual_seed(stream_seed("nano_swin", recipe.seed, "initial weights"))
    model = Pretraining()
    for module in model.backbone.modules():
        if isinstance(module, nn.Linear):  # Swin's usual deviation of 0.02 is meant for wider layers: at 64 it starts as an identity, and slowly
            nn.init.xavier_uniform_(module.weight)
    return model, torch.optim.AdamW(weight_groups(model, recipe.weight_decay), lr=recipe.learning_rate, betas=(0.9, 0.98))


def export(model: Pretraining, recipe: Recipe, facts: dict[str, object], out: Path) -> None:
    """Write weights (half precision) and card into ``out``; each file is replaced in one piece."""
    out.mkdir(parents=True, exist_ok=True)
    part = out / (WEIGHTS + ".part")
    save_file({name: weight.detach().half().contiguous() for name, weight in model.backbone.state_dict().items()}, part)
    part.chmod(0o644)
    card = {
        "name": "nano_swin",
        "sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
        "architecture": {
            "class": "timm.models.swin_transformer.SwinTransformer",
            "img_size": 56,
            "patch_size": 4,
            "embed_dim": 64,
            "depths": [2, 2],
            "num_heads": [2, 4],
            "window_size": 7,
            "parameters": sum(weight.numel() for weight in model.backbone.parameters()),
        },
        "recipe": {"command": "python -m pare_bench.pretraining nano_swin", **asdict(recipe)},
        **facts,
        "libraries": {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scikit-image", "timm", "torch")}},
    }
    (out / (CARD + ".part")).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name in (WEIGHTS, CARD):
        (out / (name + ".part")).replace(out / name)


def continues(saved: Saved, recipe: Recipe) -> bool:
    """Tell whether a run of ``recipe`` would have passed through the ``saved`` state."""
    try:
        before = Recipe(**saved.recipe)
    except TypeError:
        return False
    same_rates = saved.step <= min(before.steps - before.cooldown_steps, recipe.steps - recipe.cooldown_steps)
    return before == recipe or (same_rates and replace(before, steps=recipe.steps, cooldown_steps=recipe.cooldown_steps) == recipe)


def check_state(path: Path, recipe: Recipe) -> None:
    """Check that a run of ``recipe`` can go on from a file of a state.

    Raises:
        UsageError: there is no such file, or the state is of another recipe or too far.
        IntegrityError: it is no state.
    """
    if not path.is_file():
        raise UsageError(f"there is no state '{path}'", hint="leave --state out to begin anew")
    saved = read_state(path)
    if continues(saved, recipe):
        return
    own = asdict(recipe)
    other = [f"{name} {value!r} instead of {own.get(name)!r}" for name, value in saved.recipe.items() if value != own.get(name)]
    hint = f"--steps of at least {saved.step} plus --cooldown, the same --seed, and a processor of the same precision"
    raise UsageError(f"a run of this recipe would not have passed through '{path}', step {saved.step}: it has {', '.join(other)}", hint=hint)


def _resumed(places: list[Path], recipe: Recipe, model: Pretraining, optimiser: torch.optim.AdamW) -> int:
    """Put network and optimiser into the furthest state that ``recipe`` would have passed through, and return its step."""
    found = [saved for place in places if place.is_file() and continues(saved := read_state(place), recipe)]
    if not found:
        return 0
    furthest = max(found, key=lambda saved: saved.step)
    take_up(furthest, model, optimiser)
    log.info("continuing from step %d", furthest.step)
    return furthest.step


def pretrain(recipe: Recipe, work: Path, out: Path, *, state: Path | None = None, checkpoint_every: int = 250, workers: int = 0) -> None:
    """Train from the furthest state that this recipe would have passed through, in ``work`` or ``state``, and leave the bundle in ``out``.

    A bundle is also written at every fourth checkpoint; its card says after how many steps. ``workers`` processes make the images ahead.

    Raises:
        UsageError: the run cannot go on from ``state``.
        IntegrityError: a file of a state is damaged.
    """
    if state is not None:
        check_state(state, recipe)
    work.mkdir(parents=True, exist_ok=True)
    model, optimiser = build(recipe)
    first = _resumed([*([state] if state else []), work / CONSTANT, work / STATE], recipe, model, optimiser)
    unseen = held_out(recipe.seed, 16, recipe.batch)
    started, running = time.monotonic(), np.zeros(7)
    for done, images in enumerate(batches(recipe.seed, recipe.batch, range(first, recipe.steps), workers), first + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, done - 1)
        loss = _step(model, optimiser, recipe, images, done - 1)
        running += float(loss.total.detach()), loss.textures, loss.fractals, loss.mixed_textures, loss.mixed_fractals, loss.foreground, 1
        if done % 50 == 0:
            _say(done, running, time.monotonic() - started)
            running[:] = 0
        if done % checkpoint_every == 0 or done == recipe.steps:
            constant = done <= recipe.steps - recipe.cooldown_steps
            write_state(work / (CONSTANT if constant else STATE), model, optimiser, asdict(recipe), done)
        if done % (4 * checkpoint_every) == 0 or done == recipe.steps:
            scores = {**evaluate(model, unseen, recipe.seed), "digits_probe_200": digits_probe(model.backbone, 200, 0)}
            log.info("step %d %s", done, scores)
            export(model, recipe, {"steps_done": done, "images_seen": done * recipe.batch, "scores": scores}, out)


def _step(model: Pretraining, optimiser: torch.optim.AdamW, recipe: Recipe, images: Any, step: int) -> Loss:
    words = ("nano_swin", recipe.seed, "step", step)
    loss = step_loss(model, images, words, mask_weight=recipe.mask_weight, precision=recipe.precision)
    optimiser.zero_grad()
    loss.total.backward()
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    optimiser.step()
    return loss


def _say(done: int, running: np.ndarray, seconds: float) -> None:
    means = dict(zip(("loss", "textures", "fractals", "mixed_textures", "mixed_fractals", "foreground"), running / running[-1], strict=False))
    log.info("step %d %s seconds %.0f", done, " ".join(f"{name} {value:.4f}" for name, value in means.items()), seconds)


def main(argv: list[str]) -> None:
    """Parse ``argv`` and pretrain; the log goes to ``<work>/nano_swin.log`` and to stderr."""
    default = Recipe()
    parser = argparse.ArgumentParser(prog="python -m pare_bench.pretraining nano_swin", description="Pretrain nano_swin on textures and fractals.")
    parser.add_argument("--work", type=Path, default=Path("build/nano_swin"), help="folder of states and log")
    parser.add_argument("--out", type=Path, default=Path("build/nano_swin/bundle"), help="folder that receives weights and card")
    parser.add_argument("--state", type=Path, help="file of an earlier run's state to go on from, where the recipe is the same")
    parser.add_argument("--steps", type=int, default=default.steps, help="optimisation steps (default: %(default)s)")
    parser.add_argument("--cooldown", type=int, default=default.cooldown_steps, help="last steps, in which the rate falls (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of weights, images and mixes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make images ahead (default: %(default)s)")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.StreamHandler(), logging.FileHandler(options.work / "nano_swin.log")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers)
    torch.set_num_threads(options.threads)
    recipe = replace(default, steps=options.steps, cooldown_steps=options.cooldown, seed=options.seed, precision=best_precision())
    pretrain(recipe, options.work, options.out, state=options.state, workers=options.workers)
