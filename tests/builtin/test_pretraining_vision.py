"""The recipe of nano_swin: what is shown, what is asked of it, and that a run that was stopped ends in the same bytes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from pare_bench.builtin.backbones.swin import NanoSwin
from pare_bench.builtin.backbones.weights import load_bundled
from pare_bench.errors import IntegrityError, UsageError
from pare_bench.pretraining import __main__ as dispatcher
from pare_bench.pretraining import vision, vision_batches, vision_model
from pare_bench.pretraining.vision import CARD, CONSTANT, STATE, WEIGHTS, Recipe, best_precision, learning_rate
from pare_bench.pretraining.vision_batches import shown
from pare_bench.pretraining.vision_scores import evaluate, held_out
from pare_bench.pretraining.vision_state import read_state, take_up, write_state

SHORT = Recipe(steps=4, batch=16, warmup_steps=2, cooldown_steps=2, precision="float32")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is not under test here, and slow."""
    monkeypatch.setattr(vision, "digits_probe", lambda backbone, labels, seed: 0.0)
    monkeypatch.setattr(vision, "evaluate", lambda model, images, seed: {"textures": 0.0})
    monkeypatch.setattr(vision, "held_out", lambda seed, batches, batch: [])


def test_learning_rate_warms_up_stays_and_cools_down_whatever_the_length() -> None:
    recipe = Recipe(steps=1000, warmup_steps=100, cooldown_steps=300, learning_rate=1.0)
    rates = [learning_rate(recipe, step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert set(rates[99:701]) == {1.0}
    assert rates[850] == pytest.approx(0.5)
    assert rates[-1] < 1e-4
    longer = [learning_rate(Recipe(steps=2000, warmup_steps=100, cooldown_steps=300, learning_rate=1.0), step) for step in range(700)]
    assert longer == rates[:700]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16\n", "bfloat16"),
        ("Features\t: fp asimd bf16\n", "bfloat16"),
        ("flags\t\t: fpu avx2 fma\nmodel name\t: bf16 machine\n", "float32"),
    ],
)
def test_half_precision_only_where_the_processor_has_it(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert best_precision(tmp_path / "cpuinfo") == expected
    assert best_precision(tmp_path / "nowhere") == "float32"


def test_a_batch_follows_from_seed_and_step_alone() -> None:
    first, again, other_step, other_seed = (shown(seed, step, 32) for seed, step in ((0, 5), (0, 5), (0, 6), (1, 5)))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, other_step.images)
    assert not torch.equal(first.images, other_seed.images)
    ahead = list(vision_batches.batches(0, 32, range(5, 7), workers=1))
    assert [torch.equal(made.images, wanted.images) for made, wanted in zip(ahead, (first, other_step), strict=True)] == [True, True]
    with pytest.raises(ValueError, match="multiple of 16"):
        shown(0, 0, 40)


def test_batch_has_both_kinds_whole_and_mixed_and_partners_of_another_kind() -> None:
    batch = shown(0, 0, 64)
    assert batch.images.shape == (72, 3, 56, 56)
    assert batch.whole == 32
    assert batch.has[:32].sum(0).tolist() == [8.0, 24.0]
    assert batch.has[32:48].sum(0).tolist() == [16.0, 0.0]
    assert batch.has[48:64].sum(0).tolist() == [0.0, 16.0]
    assert batch.has[64:].sum() == 0
    assert batch.masks[64:].sum() == 0
    hosts = batch.has[32:64]
    partners = batch.has[batch.partners]
    assert (hosts * partners).sum() == 0
    assert partners.sum(0).tolist() == [12.0, 12.0]
    assert sorted(batch.partners[batch.partners >= 64].tolist()) == list(range(64, 72))
    assert (batch.partners != torch.arange(32, 64)).all()


def test_mixes_are_weighted_by_share_and_their_masks_move_with_their_patches() -> None:
    """Tokens that say which image and place they come from: what stands where in the mix can be read off."""
    batch = shown(0, 1, 32)
    count = len(batch.images)
    tokens = torch.zeros(count, 196, 64)
    tokens[..., 0], tokens[..., 1] = torch.arange(count)[:, None], torch.arange(196)
    torch.manual_seed(0)
    found = vision_model.mixed(tokens, batch, 0.25)
    owners, places = found.tokens[..., 0].long(), found.tokens[..., 1].long()
    assert torch.equal(found.tokens[:16], tokens[:16])
    coarse = torch.nn.functional.adaptive_avg_pool2d(batch.masks[:, None], (14, 14)).flatten(1)
    assert_close(found.foreground, coarse[owners, places])
    for index in range(16):
        host, partner, row = 16 + index, int(batch.partners[index]), 16 + index
        assert (owners[row] == partner).sum() == 49
        assert ((owners[row] == host) | (owners[row] == partner)).all()
        # Own patches stay where they were.
        assert torch.equal(places[row][owners[row] == host], torch.arange(196)[owners[row] == host])
        for kind in (0, 1):
            weight = 0.75 * batch.has[host, kind] + 0.25 * batch.has[partner, kind]
            assert found.weights[row, kind] == pytest.approx(float(weight))
            owner = host if batch.has[host, kind] else partner
            if weight:
                assert found.labels[row, kind] == batch.labels[owner]


def test_loss_is_the_weighted_cross_entropies_of_both_kinds_and_the_foreground() -> None:
    model, _ = vision.build(SHORT)
    batch = shown(0, 2, 16)
    model.eval()
    words = ("test", 0)
    loss = vision_model.step_loss(model, batch, words, mask_weight=0.5, precision="float32")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(vision_model.stream_seed(*words))
        share = 0.1 + 0.8 * float(torch.rand(()))
        examples = vision_model.mixed(model.backbone.embed_source(batch.images), batch, share)
    logits, foreground = model(examples.tokens)
    wanted = torch.zeros(())
    for row in range(16):
        for kind in (0, 1):
            probability = logits[kind][row].softmax(-1)[examples.labels[row, kind]]
            wanted = wanted - examples.weights[row, kind] * probability.log() / 16
    chance = torch.nn.functional.binary_cross_entropy_with_logits(foreground, examples.foreground)
    assert_close(loss.total, wanted + 0.5 * chance, rtol=1e-4, atol=1e-5)
    before = torch.random.get_rng_state()
    vision_model.step_loss(model, batch, words, mask_weight=0.5, precision="float32")
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.usefixtures("quick")
def test_interrupted_pretraining_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the state's half-precision moments: the run that goes on has the same ones as the run that wrote them."""
    recipe = replace(SHORT, steps=6)
    vision.pretrain(recipe, tmp_path / "one", tmp_path / "out_one", checkpoint_every=2)
    original = vision.step_loss

    def stopping(model: vision.Pretraining, images: vision_batches.Shown, words: tuple[str | int, ...], **options: object) -> vision.Loss:
        if words[-1] == 3:
            raise KeyboardInterrupt
        return original(model, images, words, **options)

    monkeypatch.setattr(vision, "step_loss", stopping)
    with pytest.raises(KeyboardInterrupt):
        vision.pretrain(recipe, tmp_path / "two", tmp_path / "out_two", checkpoint_every=2)
    assert read_state(tmp_path / "two" / CONSTANT).step == 2
    monkeypatch.setattr(vision, "step_loss", original)
    vision.pretrain(recipe, tmp_path / "two", tmp_path / "out_two", checkpoint_every=2)
    for name in (WEIGHTS, CARD):
        assert (tmp_path / "out_one" / name).read_bytes() == (tmp_path / "out_two" / name).read_bytes()
    assert load_bundled("nano_swin", tmp_path / "out_two").keys() == NanoSwin().state_dict().keys()
    card = json.loads((tmp_path / "out_two" / CARD).read_text())
    assert (card["steps_done"], card["images_seen"], card["recipe"]["steps"]) == (6, 96, 6)


@pytest.mark.usefixtures("quick")
def test_a_longer_run_goes_on_from_the_state_before_the_cool_down(tmp_path: Path) -> None:
    """A day later, with a file of the state alone: the same weights as the long run at once, although the short one had cooled down."""
    long = replace(SHORT, steps=6)
    vision.pretrain(long, tmp_path / "long", tmp_path / "out_long", checkpoint_every=2)
    vision.pretrain(SHORT, tmp_path / "short", tmp_path / "out_short", checkpoint_every=2)
    assert read_state(tmp_path / "short" / CONSTANT).step == 2
    assert read_state(tmp_path / "short" / STATE).step == 4
    vision.pretrain(long, tmp_path / "later", tmp_path / "out_later", state=tmp_path / "short" / CONSTANT, checkpoint_every=2)
    assert (tmp_path / "out_long" / WEIGHTS).read_bytes() == (tmp_path / "out_later" / WEIGHTS).read_bytes()
    assert (tmp_path / "out_long" / WEIGHTS).read_bytes() != (tmp_path / "out_short" / WEIGHTS).read_bytes()


@pytest.mark.usefixtures("quick")
def test_a_state_that_another_recipe_left_is_not_gone_on_from(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    vision.pretrain(replace(SHORT, steps=2, cooldown_steps=1), tmp_path / "work", tmp_path / "out", checkpoint_every=1)
    vision.pretrain(replace(SHORT, steps=2, cooldown_steps=1, batch=32), tmp_path / "work", tmp_path / "out", checkpoint_every=1)
    assert "continuing" not in caplog.text
    vision.pretrain(replace(SHORT, steps=2, cooldown_steps=1, batch=32), tmp_path / "work", tmp_path / "out", checkpoint_every=1)
    assert "continuing from step 2" in caplog.text


def test_a_state_that_was_asked_for_is_gone_on_from_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, optimiser = vision.build(SHORT)
    vision._step(model, optimiser, SHORT, shown(0, 0, 16), 0)
    state = tmp_path / "state"
    write_state(state, model, optimiser, asdict(SHORT), 3)
    # A step of the cool-down is on the way of the same run alone.
    vision.check_state(state, SHORT)
    for recipe, reason in (
        (replace(SHORT, steps=6), "steps 4 instead of 6"),
        (replace(SHORT, seed=1), "seed 0 instead of 1"),
        (replace(SHORT, precision="bfloat16"), "precision 'float32' instead of 'bfloat16'"),
    ):
        with pytest.raises(UsageError, match=f"step 3: it has {reason}"):
            vision.pretrain(recipe, tmp_path / "work", tmp_path / "out", state=state)
    with pytest.raises(SystemExit) as ended:
        dispatcher.main(["nano_swin", "--work", str(tmp_path / "work"), "--state", str(tmp_path / "nowhere")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-2:] == [
        f"error: there is no state '{tmp_path / 'nowhere'}'",
        "hint: leave --state out to begin anew",
    ]


def test_state_is_small_and_holds_no_code(tmp_path: Path) -> None:
    model, optimiser = vision.build(SHORT)
    vision._step(model, optimiser, SHORT, shown(0, 0, 16), 0)
    write_state(tmp_path / "state", model, optimiser, asdict(SHORT), 1)
    assert (tmp_path / "state").stat().st_size < 5e6
    saved = read_state(tmp_path / "state")
    assert saved.step == 1
    assert Recipe(**saved.recipe) == SHORT
    other, its = vision.build(replace(SHORT, seed=1))
    take_up(saved, other, its)
    for name, weight in model.named_parameters():
        twin = dict(other.named_parameters())[name]
        assert torch.equal(weight, twin)
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(optimiser.state[weight][moment], its.state[twin][moment])
    for each, (own, its_own) in enumerate(((model, optimiser), (other, its))):
        vision._step(own, its_own, SHORT, shown(0, 1, 16), 1)
        torch.save([weight.detach() for weight in own.parameters()], tmp_path / f"{each}.pt")
    assert_close(*(torch.load(tmp_path / f"{each}.pt", weights_only=True) for each in (0, 1)), rtol=0, atol=0)


def test_the_state_that_is_kept_with_the_weights_is_of_their_recipe_and_a_longer_run_goes_on_from_it() -> None:
    """From before the cool-down; the network it holds is one that knows textures and fractals."""
    kept = Path(vision.__file__).parent / "checkpoints" / "nano_swin.safetensors"
    if not kept.is_file():
        pytest.skip("states are in the repository alone, not in the package")
    assert kept.stat().st_size < 5e6
    recipe = Recipe()
    saved = read_state(kept)
    assert saved.step == recipe.steps - recipe.cooldown_steps
    longer = replace(recipe, steps=10 * recipe.steps)
    vision.check_state(kept, longer)
    model, optimiser = vision.build(longer)
    take_up(saved, model, optimiser)
    scores = evaluate(model, held_out(1, 2), 1)
    assert scores["textures"] > 0.9
    assert scores["fractals"] > 0.3


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"no safetensors at all"])
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"no state of nano_swin's pretraining"):
        read_state(tmp_path / "state")


def test_a_state_of_another_network_or_size_is_refused(tmp_path: Path) -> None:
    model, optimiser = vision.build(SHORT)
    vision._step(model, optimiser, SHORT, shown(0, 0, 16), 0)
    write_state(tmp_path / "state", model, optimiser, asdict(SHORT), 1)
    tensors = load_file(tmp_path / "state")
    about = {"recipe": json.dumps(asdict(SHORT)), "step": "1"}
    for missing in ("model.separate.0.weight", "exp_avg.separate.0.weight"):
        save_file({name: tensor for name, tensor in tensors.items() if name != missing}, tmp_path / "other", metadata=about)
        with pytest.raises(IntegrityError, match="another network"):
            take_up(read_state(tmp_path / "other"), model, optimiser)
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(1 << 27)
    with pytest.raises(IntegrityError, match="134217728 bytes"):
        read_state(tmp_path / "large")


@pytest.mark.slow
def test_a_short_recipe_learns_textures_whole_and_mixed_and_the_foreground() -> None:
    recipe = Recipe(steps=150, batch=64, warmup_steps=20, cooldown_steps=60)
    model, optimiser = vision.build(recipe)
    unseen = held_out(0, 4)
    before = evaluate(model, unseen, 0)
    losses = []
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step)
        losses.append(float(vision._step(model, optimiser, recipe, shown(0, step, 64), step).total.detach()))
    after = evaluate(model, unseen, 0)
    assert sum(losses[-20:]) / 20 < 0.85 * sum(losses[:20]) / 20
    assert before["textures"] < 0.1
    assert after["textures"] > 0.3
    assert after["textures_at_0.64"] > 0.15
    assert after["foreground_iou"] > before["foreground_iou"]


def test_scores_of_a_network_that_knows_nothing_are_chance() -> None:
    model, _ = vision.build(SHORT)
    scores = evaluate(model, held_out(0, 4), 0)
    assert {"textures", "fractals", "foreground_iou", "textures_at_0.40", "fractals_at_0.16"} <= scores.keys()
    assert max(scores["textures"], scores["fractals"], scores["textures_at_0.40"]) < 0.1
    assert model.training


def test_augmentation_moves_image_and_mask_together() -> None:
    """White where the mask is, black elsewhere: after any change the mask still marks what stands out."""
    masks = torch.zeros(16, 56, 56, dtype=torch.bool)
    masks[:, 15:35, 22:44] = True
    images = masks[:, None].float().expand(-1, 3, -1, -1)
    changed, moved = vision_batches.augmented(images, masks, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    flat, marks = changed.mean(1).flatten(1), moved.flatten(1)
    correlation = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(flat, marks, strict=True)])
    assert (correlation.abs() > 0.75).sum() >= 13
    assert len({mask.numpy().tobytes() for mask in moved}) == 16


def test_dispatcher_hands_the_arguments_to_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(vision, "main", seen.append)
    dispatcher.main(["nano_swin", "--steps", "3"])
    assert seen == [["--steps", "3"]]
    with pytest.raises(SystemExit):
        dispatcher.main(["nano_nothing"])
