"""How well a pretrained ``nano_swin`` does: on textures and fractals that it has not seen, whole and mixed, and on scikit-learn's digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pare_bench.builtin.backbones.swin import NanoSwin
from pare_bench.pretraining.vision_batches import Shown, shown
from pare_bench.pretraining.vision_model import Examples, Pretraining, mixed
from pare_bench.seeds import stream, stream_seed

#: Source shares of the mixes that are scored.
SHARES = (0.64, 0.4, 0.16)


def held_out(seed: int, batches: int, batch: int = 64) -> list[Shown]:
    """Return batches of steps that training never comes to."""
    return [shown(seed, -1 - number, batch) for number in range(batches)]


@torch.no_grad()
def evaluate(model: Pretraining, images: list[Shown], seed: int) -> dict[str, float]:
    """Return accuracies on whole images and on mixes, and foreground intersection over union (14x14, threshold one half).

    Of a mix at share s it is the accuracy for the image that has s of the tokens.
    """
    model.eval()
    tokens = [model.backbone.embed_source(batch.images) for batch in images]
    scores = _whole(model, [_unmixed(each, batch) for each, batch in zip(tokens, images, strict=True)])
    for share in SHARES:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed("nano_swin", seed, "mixes that are scored"))
            found = [_of_partners(model, mixed(each, batch, share), batch) for each, batch in zip(tokens, images, strict=True)]
        right, asked = torch.stack([each[0] for each in found]).sum(0), torch.stack([each[1] for each in found]).sum(0)
        for kind, name in enumerate(("textures", "fractals")):
            scores[f"{name}_at_{share:.2f}"] = float(right[kind] / asked[kind])
    model.train()
    return {name: round(score, 4) for name, score in scores.items()}


def _unmixed(tokens: torch.Tensor, batch: Shown) -> Examples:
    """Return all images of a batch whole, its clutter left out."""
    classed = int(batch.has.sum())
    every = replace(batch, whole=classed, partners=batch.partners[:0])
    return mixed(tokens, every, 0.0)


def _whole(model: Pretraining, examples: list[Examples]) -> dict[str, float]:
    right, asked, both, either = torch.zeros(2), torch.zeros(2), 0.0, 0.0
    for each in examples:
        logits, foreground = model(each.tokens)
        for kind, scores in enumerate(logits):
            right[kind] += ((scores.argmax(-1) == each.labels[:, kind]) * each.weights[:, kind]).sum()
            asked[kind] += each.weights[:, kind].sum()
        truth = each.foreground > 0.5
        both += float(((foreground > 0) & truth).sum())
        either += float(((foreground > 0) | truth).sum())
    return {"textures": float(right[0] / asked[0]), "fractals": float(right[1] / asked[1]), "foreground_iou": both / max(either, 1.0)}


def _of_partners(model: Pretraining, examples: Examples, batch: Shown) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how often the partner's class was right and how often it was asked for, by kind."""
    logits, _ = model(examples.tokens[batch.whole :])
    of_partner = batch.has[batch.partners]
    right = torch.stack([(scores.argmax(-1) == batch.labels[batch.partners]) * of_partner[:, kind] for kind, scores in enumerate(logits)])
    return right.sum(1), of_partner.sum(0)


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
