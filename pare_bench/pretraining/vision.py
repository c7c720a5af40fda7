"""Pretrain ``nano_swin``: which of 64 fractals is this, and which pixels are fractal (formula-driven supervision, Kataoka et al., ACCV 2020).

Run as ``python -m pare_bench.pretraining nano_swin --work FOLDER --out FOLDER``. Every step draws from its own named stream, so a run that was
stopped continues from its checkpoint as if it had never stopped. Same versions of the dependencies, same kind of machine: same weights.
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
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from pare_bench.builtin.backbones.swin import NanoSwin, joined_maps
from pare_bench.seeds import stream, stream_seed
from pare_bench.simulators.fractals import default_systems, render_fractals

log = logging.getLogger(__name__)

WEIGHTS, CARD = "nano_swin.safetensors", "nano_swin.json"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights."""

    seed: int = 0
    steps: int = 3500
    batch: int = 32
    classes: int = 64
    instances: int = 120
    learning_rate: float = 1.5e-3
    warmup_steps: int = 100
    cooldown_steps: int = 1000
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    mask_weight: float = 0.5
    clip: float = 1.0
    precision: str = "bfloat16"


@dataclass(frozen=True)
class Pool:
    """Rendered images: ``images`` uint8 [n 3 56 56], ``masks`` bool [n 56 56], ``labels`` int64 [n]."""

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]


class Pretraining(nn.Module):
    """The backbone with a class head on the mean of its last map and a foreground head on its joined maps; both heads are thrown away."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = NanoSwin(NanoSwin.Params(stages="all", pretrained=False))
        module: Any
        for module in self.backbone.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False  # on a processor faster than the fused kernel at this width
        # Untrained features hardly differ between images; standardised ones let the class loss act from the first step.
        self.classify = nn.Sequential(nn.BatchNorm1d(128, affine=False), nn.Linear(128, classes))
        self.separate = nn.Linear(self.backbone.feats, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits [batch classes] and foreground logits [batch 14 14]."""
        maps = self.backbone.stage_maps(self.backbone.embed_source(images))
        return self.classify(maps[1].mean((1, 2))), self.separate(joined_maps(maps)).squeeze(-1)


def make_pool(recipe: Recipe, part: str, instances: int) -> Pool:
    """Render ``instances`` images of every class; image i of a class depends neither on the number of instances nor on other parts."""
    labels = np.tile(np.arange(recipe.classes), instances)
    pool = Pool(np.empty((len(labels), 3, 56, 56), np.uint8), np.empty((len(labels), 56, 56), np.bool_), labels)
    systems = default_systems(recipe.classes)
    for index in range(instances):
        rows = slice(index * recipe.classes, (index + 1) * recipe.classes)
        images, pool.masks[rows] = render_fractals(labels[rows], stream("nano_swin", recipe.seed, part, index), systems=systems)
        pool.images[rows] = np.round(images * 255)
    return pool


def augmented(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vary a batch: mirror, zoom, turn, shift, contrast, brightness, negative, exchanged channels, an erased square.

    Images [batch 3 56 56] in [0, 1] and masks [batch 56 56] keep their shapes; an erased place is not foreground.
    """
    count, size = len(images), images.shape[-1]

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    angle, zoom = draw(-0.25, 0.25), draw(0.8, 1.1)
    mirror = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    cosine, sine, shift = zoom * angle.cos(), zoom * angle.sin(), draw(-0.1, 0.1, 2)
    pose = torch.stack([torch.stack([cosine * mirror, -sine, shift[:, 0]], -1), torch.stack([sine * mirror, cosine, shift[:, 1]], -1)], 1)
    both = torch.cat([images, masks[:, None].float()], 1)
    grid = F.affine_grid(pose, list(both.shape), align_corners=False)
    both = F.grid_sample(both, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    images, masks = both[:, :3], both[:, 3]
    level = images.mean((1, 2, 3), keepdim=True)
    images = (images - level) * draw(0.6, 1.4, 1, 1, 1) + level + draw(-0.2, 0.2, 1, 1, 1)
    images = torch.where(draw(0, 1, 1, 1, 1) < 0.15, 1 - images, images)[:, torch.randperm(3, generator=generator)].clamp(0, 1)
    place = torch.arange(size)
    corner, side = draw(0, size, 2), draw(5, 18) * (draw(0, 1) < 0.2)
    rows = (place - corner[:, :1] >= 0) & (place - corner[:, :1] < side[:, None])
    columns = (place - corner[:, 1:] >= 0) & (place - corner[:, 1:] < side[:, None])
    erased = rows[:, :, None] & columns[:, None, :]
    return torch.where(erased[:, None], draw(0, 1, 3, 1, 1), images), masks * ~erased


def batch_loss(model: Pretraining, pool: Pool, recipe: Recipe, step: int) -> tuple[Tensor, float]:
    """Return the loss of training step ``step`` and the accuracy on its batch. Every epoch is a fresh permutation of the pool."""
    per_epoch = len(pool.labels) // recipe.batch
    order = stream("nano_swin", recipe.seed, "epoch", step // per_epoch).permutation(len(pool.labels))
    rows = order[step % per_epoch * recipe.batch :][: recipe.batch]
    generator = torch.Generator().manual_seed(stream_seed("nano_swin", recipe.seed, "step", step))
    images, masks = augmented(torch.from_numpy(pool.images[rows]).float() / 255, torch.from_numpy(pool.masks[rows]), generator)
    labels = torch.from_numpy(pool.labels[rows])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        logits, foreground = model(images)
    share = F.adaptive_avg_pool2d(masks[:, None], foreground.shape[1:])[:, 0]
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
    loss = loss + recipe.mask_weight * F.binary_cross_entropy_with_logits(foreground.float(), share)
    return loss, float((logits.argmax(-1) == labels).float().mean())


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, a constant rate, and half a cosine down to zero in the last ``cooldown_steps``.

    Before the cool-down the rate does not depend on ``steps``: a longer run continues a shorter one's checkpoint exactly.
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    cooled = min(1.0, max(0.0, (step - recipe.steps + recipe.cooldown_steps) / recipe.cooldown_steps))
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * cooled))


@torch.no_grad()
def evaluate(model: Pretraining, pool: Pool) -> dict[str, float]:
    """Return class accuracy and foreground intersection over union (14x14, threshold one half) on images never trained on."""
    right, both, either = 0, 0.0, 0.0
    model.eval()
    for rows in np.array_split(np.arange(len(pool.labels)), max(1, len(pool.labels) // 128)):
        logits, foreground = model(torch.from_numpy(pool.images[rows]).float() / 255)
        truth = F.adaptive_avg_pool2d(torch.from_numpy(pool.masks[rows])[:, None].float(), foreground.shape[1:])[:, 0] > 0.5
        right += int((logits.argmax(-1) == torch.from_numpy(pool.labels[rows])).sum())
        both += float(((foreground > 0) & truth).sum())
        either += float(((foreground > 0) | truth).sum())
    model.train()
    return {"source_accuracy": right / len(pool.labels), "foreground_iou": both / max(either, 1.0)}


@torch.no_grad()
def digits_probe(backbone: NanoSwin, labels: int, seed: int) -> float:
    """Return the test accuracy of logistic regression on mean features of scikit-learn's digits, ``labels`` training and 900 test images."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    digits = load_digits()
    order = stream("digits probe", seed).permutation(len(digits.target))
    train, test = order[:labels], order[-900:]
    images = torch.from_numpy(digits.images / 16).float()[:, None].expand(-1, 3, -1, -1)
    was_training = backbone.training
    backbone.eval()

    def features(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = images[torch.from_numpy(rows)].split(128)
        return torch.cat([backbone.stage_maps(backbone.embed_source(part))[1].mean((1, 2)) for part in parts]).numpy()

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(features(train), digits.target[train])
    score = float(probe.score(features(test), digits.target[test]))
    backbone.train(was_training)
    return score


def build(recipe: Recipe) -> tuple[Pretraining, torch.optim.AdamW]:
    """Return the untrained network and its optimiser (no decay on biases, norms and position tables)."""
    torch.manual_seed(stream_seed("nano_swin", recipe.seed, "initial weights"))
    model = Pretraining(recipe.classes)
    for module in model.backbone.modules():
        if isinstance(module, nn.Linear):  # Swin's usual deviation of 0.02 is meant for wider layers: at 64 it starts as an identity, and slowly
            nn.init.xavier_uniform_(module.weight)
    plain = [weight for name, weight in model.named_parameters() if weight.ndim <= 1 or "relative_position" in name]
    decayed = [weight for name, weight in model.named_parameters() if weight.ndim > 1 and "relative_position" not in name]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


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


def _continues(saved: dict[str, Any], recipe: Recipe) -> bool:
    """Tell whether a run of ``recipe`` would have passed through the ``saved`` state."""
    before = Recipe(**saved["recipe"])
    same_rates = saved["step"] <= min(before.steps - before.cooldown_steps, recipe.steps - recipe.cooldown_steps)
    return before == recipe or (same_rates and replace(before, steps=recipe.steps, cooldown_steps=recipe.cooldown_steps) == recipe)


def pretrain(recipe: Recipe, work: Path, out: Path, *, checkpoint_every: int = 200) -> None:
    """Train from the last checkpoint in ``work``, if this recipe would have passed through it, and leave the bundle in ``out``.

    A bundle is also written at every second checkpoint; its card says after how many steps.
    """
    work.mkdir(parents=True, exist_ok=True)
    pool, held_out = make_pool(recipe, "train", recipe.instances), make_pool(recipe, "held out", 16)
    log.info("pool of %d images rendered", len(pool.labels))
    model, optimiser = build(recipe)
    checkpoint, first = work / "nano_swin.pt", 0
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        if _continues(saved, recipe):
            model.load_state_dict(saved["model"])
            optimiser.load_state_dict(saved["optimiser"])
            first = saved["step"]
            log.info("continuing from step %d", first)
    started, running = time.monotonic(), np.zeros(2)
    for done in range(first + 1, recipe.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, done - 1)
        loss, accuracy = batch_loss(model, pool, recipe, done - 1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        running += float(loss.detach()), accuracy
        if done % 50 == 0:
            log.info("step %d loss %.4f accuracy %.4f seconds %.0f", done, *(running / 50), time.monotonic() - started)
            running[:] = 0
        if done % checkpoint_every == 0 or done == recipe.steps:
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "recipe": asdict(recipe), "step": done}
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
        if done % (2 * checkpoint_every) == 0 or done == recipe.steps:
            scores = {**evaluate(model, held_out), "digits_probe_200": digits_probe(model.backbone, 200, 0)}
            log.info("step %d %s", done, scores)
            export(model, recipe, {"steps_done": done, "scores": scores}, out)


def main(argv: list[str]) -> None:
    """Parse ``argv`` and pretrain on one thread; the log goes to ``<work>/nano_swin.log`` and to stderr."""
    default = Recipe()
    parser = argparse.ArgumentParser(prog="python -m pare_bench.pretraining nano_swin", description="Pretrain nano_swin on fractals.")
    parser.add_argument("--work", type=Path, default=Path("build/nano_swin"), help="folder of checkpoint and log")
    parser.add_argument("--out", type=Path, default=Path("build/nano_swin/bundle"), help="folder that receives weights and card")
    parser.add_argument("--steps", type=int, default=default.steps, help="optimisation steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of weights, pool, order and variations (default: %(default)s)")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.StreamHandler(), logging.FileHandler(options.work / "nano_swin.log")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers)
    torch.set_num_threads(1)
    pretrain(replace(default, steps=options.steps, seed=options.seed), options.work, options.out)
