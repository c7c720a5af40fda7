"""Pretrain ``nano_text``: masked-token prediction (Devlin et al. 2019, section 3.1; RoBERTa, Liu et al. 2019) on installed documentation.

Run as ``python -m pare_bench.pretraining nano_text --work FOLDER --out FOLDER``. Every step draws from its own named stream, so a run that
was stopped continues from its checkpoint as if it had never stopped. Same versions of Python and dependencies, same machine: same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy import sparse
from scipy.sparse.linalg import eigsh
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers import __version__ as tokenizers_version
from torch import Tensor, nn
from transformers import RobertaForMaskedLM

from pare_bench.builtin.backbones.language import nano_text_config
from pare_bench.builtin.sources.corpus import PACKAGES, Document, corpus
from pare_bench.seeds import stream, stream_seed

log = logging.getLogger(__name__)

BOS, PAD, EOS, MASK, NUM_SPECIALS = 0, 1, 2, 3, 4
SPECIALS = ("<s>", "<pad>", "</s>", "<mask>")
WEIGHTS, CARD, TOKENIZER = "nano_text.safetensors", "nano_text.json", "nano_text_tokenizer.json"
CHECKPOINT, CONSTANT = "nano_text.pt", "nano_text_constant.pt"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the corpus."""

    seed: int = 0
    steps: int = 18000
    batch: int = 32
    length: int = 64
    masked_share: float = 0.15
    learning_rate: float = 1e-3
    warmup_steps: int = 400
    cooldown_steps: int = 1000
    weight_decay: float = 0.01
    clip: float = 1.0
    held_out_one_in: int = 50
    precision: str = "bfloat16"


def train_tokenizer(texts: list[str], vocabulary: int = 4096) -> Tokenizer:
    """Return a byte-level BPE tokenizer of ``texts`` with RoBERTa's special tokens in RoBERTa's places."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=list(SPECIALS), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


def split_documents(documents: list[Document], one_in: int) -> tuple[list[str], list[str]]:
    """Return training and held-out texts; a document is held out by a hash of its text, whatever else is in the corpus."""
    parts: tuple[list[str], list[str]] = ([], [])
    for document in documents:
        digest = hashlib.sha256(document.text.encode()).digest()
        parts[int.from_bytes(digest[:8], "big") % one_in == 0].append(document.text)
    return parts


def token_stream(tokenizer: Tokenizer, texts: list[str]) -> NDArray[np.int64]:
    """Return the ids of all ``texts``, one after the other, each closed by ``</s>``."""
    return np.concatenate([np.array([*encoding.ids, EOS], np.int64) for encoding in tokenizer.encode_batch(texts)])


def windows(ids: NDArray[np.int64], length: int, shift: int = 0) -> NDArray[np.int64]:
    """Cut ``ids`` from ``shift`` on into rows ``[n length]`` of ``<s>``, ``length - 2`` ids and ``</s>``; the incomplete last one is dropped."""
    body = length - 2
    rows = ids[shift : shift + (len(ids) - shift) // body * body].reshape(-1, body)
    return np.pad(rows, ((0, 0), (1, 1)), constant_values=((BOS, BOS), (BOS, EOS))) if len(rows) else np.empty((0, length), np.int64)


def batches(ids: NDArray[np.int64], recipe: Recipe, first_step: int) -> Iterator[tuple[int, Tensor]]:
    """Yield ``(step, [batch length])`` from ``first_step`` on; every epoch cuts the text elsewhere and shuffles the windows."""
    step = epoch = 0
    while True:
        rng = stream("nano_text", recipe.seed, "epoch", epoch)
        rows = windows(ids, recipe.length, int(rng.integers(recipe.length - 2)))
        order = rng.permutation(len(rows))
        for start in range(0, len(rows) - recipe.batch + 1, recipe.batch):
            if step >= first_step:
                yield step, torch.from_numpy(rows[order[start : start + recipe.batch]])
            step += 1
        epoch += 1


def mask_tokens(ids: Tensor, share: float, vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return corrupted ids and the bool mask of places to predict: 80 % become ``<mask>``, 10 % a random token, 10 % stay."""
    chosen = (torch.rand(ids.shape, generator=generator) < share) & (ids >= NUM_SPECIALS)
    fate = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(NUM_SPECIALS, vocabulary, ids.shape, generator=generator)
    corrupted = torch.where(chosen & (fate < 0.8), torch.full_like(ids, MASK), ids)
    return torch.where(chosen & (fate >= 0.9), noise, corrupted), chosen


def masked_logits(model: RobertaForMaskedLM, ids: Tensor, chosen: Tensor, offsets: Tensor) -> Tensor:
    """Return logits ``[chosen vocabulary]`` with row b's positions moved by ``offsets[b]`` (RoBERTa counts positions from 2)."""
    positions = torch.arange(ids.shape[1])[None] + PAD + 1 + offsets[:, None]
    hidden = model.roberta(input_ids=ids, position_ids=positions).last_hidden_state
    return model.lm_head(hidden[chosen])


def batch_loss(model: RobertaForMaskedLM, ids: Tensor, recipe: Recipe, step: int) -> Tensor:
    """Return the masked-token cross-entropy of one training batch.

    Half of the rows start at a random position, so that all 512 position embeddings are trained although windows are short.
    """
    generator = torch.Generator().manual_seed(stream_seed("nano_text", recipe.seed, "step", step))
    corrupted, chosen = mask_tokens(ids, recipe.masked_share, model.config.vocab_size, generator)
    free = model.config.max_position_embeddings - PAD - 1 - recipe.length
    moved = torch.rand(len(ids), generator=generator) < 0.5
    offsets = torch.randint(0, free + 1, (len(ids),), generator=generator) * moved
    return nn.functional.cross_entropy(masked_logits(model, corrupted, chosen, offsets).float(), ids[chosen])


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, a constant rate, and half a cosine down to zero in the last ``cooldown_steps``.

    Before the cool-down the rate does not depend on ``steps``: a longer run continues a shorter one's checkpoint exactly.
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    cooled = min(1.0, max(0.0, (step - recipe.steps + recipe.cooldown_steps) / recipe.cooldown_steps))
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * cooled))


@torch.no_grad()
def evaluate(model: RobertaForMaskedLM, ids: NDArray[np.int64], recipe: Recipe) -> dict[str, float]:
    """Return loss and accuracy of masked-token prediction on held-out text (fixed masks), and the accuracy of always guessing the commonest token."""
    model.eval()
    generator = torch.Generator().manual_seed(stream_seed("nano_text", "held out"))
    loss, right, total, counts = 0.0, 0, 0, torch.zeros(model.config.vocab_size)
    for rows in torch.from_numpy(windows(ids, recipe.length)).split(64):
        corrupted, chosen = mask_tokens(rows, recipe.masked_share, model.config.vocab_size, generator)
        logits, truth = masked_logits(model, corrupted, chosen, torch.zeros(len(rows), dtype=torch.int64)), rows[chosen]
        loss += float(nn.functional.cross_entropy(logits, truth, reduction="sum"))
        right += int((logits.argmax(-1) == truth).sum())
        total += len(truth)
        counts += torch.bincount(truth, minlength=len(counts))
    model.train()
    return {"held_out_loss": loss / total, "held_out_accuracy": right / total, "commonest_token_accuracy": float(counts.max()) / total}


def sinusoids(places: int, width: int) -> Tensor:
    """Return ``[places width]`` sines and cosines of geometrically spaced wavelengths (Vaswani et al. 2017, section 3.5).

    As initial position embeddings they make "the token before" the same linear map at every place, which drawn ones have to learn 512 times.
    """
    wavelength = 10000.0 ** (torch.arange(0, width, 2) / width)
    angle = torch.arange(places)[:, None] / wavelength
    return torch.stack([angle.sin(), angle.cos()], dim=-1).reshape(places, width)


def co_occurrence_vectors(ids: NDArray[np.int64], vocabulary: int, width: int, reach: int = 5) -> NDArray[np.float64]:
    """Return ``[vocabulary width]`` word vectors: leading eigenvectors of the positive pointwise mutual information of neighbours.

    Pairs at distance d up to ``reach`` count 1/d (Levy and Goldberg, NeurIPS 2014; Levy et al., TACL 2015, eigenvalue weight 0.5). The scale is
    that of unit variance. It is what masked-token prediction would first have to learn, at the price of one pass over the text.
    """
    pairs = sparse.csr_array((vocabulary, vocabulary))
    for distance in range(1, reach + 1):
        weights = np.full(len(ids) - distance, 1.0 / distance)
        pairs = pairs + sparse.coo_array((weights, (ids[:-distance], ids[distance:])), shape=pairs.shape).tocsr()
    pairs = sparse.coo_array(pairs + pairs.T)
    totals = np.maximum(pairs.sum(axis=0), 1e-12)
    information = np.log(pairs.data * totals.sum() / (totals[pairs.row] * totals[pairs.col]))
    kept = information > 0
    matrix = sparse.csr_array((information[kept], (pairs.row[kept], pairs.col[kept])), shape=pairs.shape)
    values, vectors = eigsh(matrix, k=width, which="LA", v0=np.ones(vocabulary))
    vectors *= np.sign(vectors.sum(axis=0)) * np.sqrt(np.maximum(values, 0.0))
    vectors -= vectors.mean(axis=0)
    return vectors / vectors.std()


def build(recipe: Recipe, ids: NDArray[np.int64]) -> tuple[RobertaForMaskedLM, torch.optim.AdamW]:
    """Return the network before its first step and its optimiser (no decay on biases and norms).

    Word embeddings start from the co-occurrences in ``ids``, position embeddings from sinusoids, the output bias from token frequencies,
    everything else from RoBERTa's initial distribution.
    """
    torch.manual_seed(stream_seed("nano_text", recipe.seed, "initial weights"))
    model = RobertaForMaskedLM(nano_text_config())
    model.set_attn_implementation("eager")  # on a processor faster than the fused kernel at this width
    scale, vocabulary = model.config.initializer_range, model.config.vocab_size
    with torch.no_grad():
        places, words = model.roberta.embeddings.position_embeddings.weight, model.roberta.embeddings.word_embeddings.weight
        places.copy_(sinusoids(*places.shape) * scale * math.sqrt(2))
        words.copy_(torch.from_numpy(co_occurrence_vectors(ids, *words.shape)) * scale)
        frequency = np.bincount(ids, minlength=vocabulary) + 1.0
        model.lm_head.bias.copy_(torch.from_numpy(np.log(frequency / frequency.sum())))
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    plain = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), eps=1e-6)


def export(model: RobertaForMaskedLM, tokenizer: Tokenizer, recipe: Recipe, facts: dict[str, object], out: Path) -> None:
    """Write weights (half precision), tokenizer and card into ``out``; each file is replaced in one piece."""
    out.mkdir(parents=True, exist_ok=True)
    state = {name: weight.detach().half().contiguous() for name, weight in model.roberta.state_dict().items() if weight.is_floating_point()}
    save_file(state, out / (WEIGHTS + ".part"))
    (out / (WEIGHTS + ".part")).chmod(0o644)
    (out / (TOKENIZER + ".part")).write_text(tokenizer.to_str() + "\n", encoding="utf-8")
    card = {
        "name": "nano_text",
        "sha256": _sha256(out / (WEIGHTS + ".part")),
        "tokenizer_sha256": _sha256(out / (TOKENIZER + ".part")),
        "architecture": {"class": "transformers.RobertaModel", **{key: model.config.to_dict()[key] for key in _ARCHITECTURE}},
        "recipe": {"command": "python -m pare_bench.pretraining nano_text", **asdict(recipe)},
        **facts,
        "libraries": {"python": platform.python_version(), "tokenizers": tokenizers_version, "transformers": transformers.__version__, **_versions()},
    }
    (out / (CARD + ".part")).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name in (TOKENIZER, WEIGHTS, CARD):
        (out / (name + ".part")).replace(out / name)


_ARCHITECTURE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "layer_norm_eps",
)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version("scikit-learn" if name == "sklearn" else name) for name in PACKAGES}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _last_state(work: Path, recipe: Recipe) -> dict[str, Any] | None:
    """Return the latest state in ``work`` that a run of ``recipe`` would have passed through: of the checkpoint, or from before its cool-down."""
    for name in (CHECKPOINT, CONSTANT):
        if (work / name).is_file() and _continues(saved := torch.load(work / name, weights_only=True), recipe):
            return saved
    return None


def _save_checkpoint(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, recipe: Recipe, step: int) -> None:
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "recipe": asdict(recipe), "step": step}, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _continues(saved: dict[str, Any], recipe: Recipe) -> bool:
    """Tell whether a run of ``recipe`` would have passed through the ``saved`` state: same recipe, or no cool-down begun in either."""
    before = Recipe(**saved["recipe"])
    constant = min(run.steps - run.cooldown_steps for run in (before, recipe))
    same_otherwise = replace(before, steps=recipe.steps, cooldown_steps=recipe.cooldown_steps) == recipe
    return before == recipe or (same_otherwise and saved["step"] <= constant)


def pretrain(recipe: Recipe, work: Path, out: Path, *, checkpoint_every: int = 250) -> None:
    """Train from the last checkpoint in ``work``, if it has the same recipe, and leave the bundle in ``out``.

    A bundle is also written at every fourth checkpoint; its card says after how many steps. ``CONSTANT`` in ``work`` keeps the state from before the
    cool-down: a run of more steps goes on from there.
    """
    work.mkdir(parents=True, exist_ok=True)
    documents = corpus()
    texts, held_out = split_documents(documents, recipe.held_out_one_in)
    tokenizer = train_tokenizer(texts)
    ids, held_out_ids = token_stream(tokenizer, texts), token_stream(tokenizer, held_out)
    facts = {"corpus": {"documents": len(documents), "training_tokens": len(ids), "held_out_tokens": len(held_out_ids), "packages": list(PACKAGES)}}
    log.info("corpus %s", facts["corpus"])

    model, optimiser = build(recipe, ids)
    first = 0
    if saved := _last_state(work, recipe):
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["step"]
        log.info("continuing from step %d", first)

    model.train()
    started, running = time.monotonic(), 0.0
    for step, rows in batches(ids, recipe, first):
        if step >= recipe.steps:
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            loss = batch_loss(model, rows, recipe, step)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        running += float(loss.detach())
        done = step + 1
        if done % 50 == 0:
            log.info("step %d loss %.4f seconds %.0f", done, running / 50, time.monotonic() - started)
            running = 0.0
        if done % checkpoint_every == 0 or done == recipe.steps:
            _save_checkpoint(work / CHECKPOINT, model, optimiser, recipe, done)
        if done == recipe.steps - recipe.cooldown_steps:
            _save_checkpoint(work / CONSTANT, model, optimiser, recipe, done)
        if done % (4 * checkpoint_every) == 0 or done == recipe.steps:
            scores = evaluate(model, held_out_ids, recipe)
            log.info("step %d %s", done, scores)
            export(model, tokenizer, recipe, {**facts, "steps_done": done, "scores": scores}, out)


def probe_errors(train_size: int, seed: int, *, pretrained: bool) -> float:
    """Return the test error of logistic regression on mean-pooled features of the bundled or of a random network, task ``docstrings``.

    ``train_size`` labels, 400 test windows; the task's draw and the random network follow ``seed``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from pare_bench.builtin.backbones.language import NanoText
    from pare_bench.builtin.sources.docstrings import Docstrings
    from pare_bench.contracts.task import TaskSize

    splits = Docstrings().generated(seed, TaskSize(train_size, 8, 400))
    torch.manual_seed(stream_seed("nano_text", "probe", seed))
    backbone = NanoText(NanoText.Params(pretrained=pretrained)).eval()
    with torch.no_grad():
        train, test = (backbone(backbone.embed_source(torch.from_numpy(part.inputs))).mean(1).numpy() for part in (splits.train, splits.test))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(train, splits.train.targets)
    return 1.0 - float(probe.score(test, splits.test.targets))


def probe(labels: tuple[int, ...] = (200, 800), seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Log the table of docs/backbones/nano_text.md: error of a linear probe, bundled weights against random ones."""
    for count in labels:
        for name, pretrained in (("random", False), ("pretrained", True)):
            errors = [probe_errors(count, seed, pretrained=pretrained) for seed in seeds]
            log.info("%d labels, %s: %s, mean %.3f", count, name, ", ".join(f"{error:.3f}" for error in errors), np.mean(errors))


def main(argv: list[str]) -> None:
    """Parse ``argv`` and pretrain on one thread; the log goes to ``<work>/nano_text.log`` and to stderr."""
    default = Recipe()
    parser = argparse.ArgumentParser(prog="python -m pare_bench.pretraining nano_text", description="Pretrain nano_text on installed documentation.")
    parser.add_argument("--work", type=Path, default=Path("build/nano_text"), help="folder of checkpoint and log")
    parser.add_argument("--out", type=Path, default=Path("build/nano_text/bundle"), help="folder that receives weights, tokenizer and card")
    parser.add_argument("--steps", type=int, default=default.steps, help="optimisation steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of weights, order and masks (default: %(default)s)")
    parser.add_argument("--probe", action="store_true", help="train nothing; measure the bundled weights against random ones")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", handlers=[logging.StreamHandler(), logging.FileHandler(options.work / "nano_text.log")]
    )
    torch.set_num_threads(1)
    if options.probe:
        probe()
        return
    pretrain(replace(default, steps=options.steps, seed=options.seed), options.work, options.out)
