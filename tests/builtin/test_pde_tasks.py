"""The tasks of PDEBench: contract, both laws, scales, rollouts, and the figures that say how much there is to learn."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pare_bench import metrics
from pare_bench.builtin.suites.pdebench.advection import Advection
from pare_bench.builtin.suites.pdebench.burgers import Burgers
from pare_bench.builtin.suites.pdebench.darcy_2d import Darcy2d
from pare_bench.builtin.suites.pdebench.diffusion_reaction_1d import DiffusionReaction1d
from pare_bench.builtin.suites.pdebench.diffusion_reaction_2d import DiffusionReaction2d
from pare_bench.builtin.suites.pdebench.diffusion_sorption import DiffusionSorption
from pare_bench.builtin.suites.pdebench.navier_stokes_1d import NavierStokes1d
from pare_bench.builtin.suites.pdebench.navier_stokes_2d import NavierStokes2d
from pare_bench.builtin.suites.pdebench.shallow_water import ShallowWater
from pare_bench.contracts.task import Split, TaskSize
from pare_bench.datasets.simulated import generate_splits
from pare_bench.scoring.floor import ConstantPredictor, PersistencePredictor
from pare_bench.seeds import stream

LINES = [Advection, Burgers, DiffusionReaction1d, DiffusionSorption, NavierStokes1d]
PLANES = [Darcy2d, ShallowWater, DiffusionReaction2d, NavierStokes2d]
LAWS = ("well_posed", "published")


def coarse(owner, law="well_posed", **params):
    """Return the task on its smallest grid."""
    return owner(owner.Params(points=64 if owner in LINES else 32, law=law, **params))


def draw(task, split="train", index=0, seed=0, count=4) -> Split:
    return task.simulate(split, count, index, stream(task.name, task.version, seed, split, index))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("owner", [*LINES, *PLANES])
def test_shapes_types_and_scale_fit_the_contract(owner, law) -> None:
    task = coarse(owner, law)
    split = draw(task)
    assert split.inputs.shape == (4, task.inputs.channels, *task.inputs.grid)
    assert split.targets.shape == (4, *task.target.shape)
    assert split.inputs.dtype == split.targets.dtype == np.float32
    assert np.isfinite(split.inputs).all()
    assert np.isfinite(split.targets).all()
    for metric in task.metrics:
        assert metric.compute(split.targets, split) == 0
        assert metric.compute(2 * split.targets, split) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("owner", [*LINES, *PLANES])
def test_inputs_of_the_well_posed_law_have_about_unit_scale(owner) -> None:
    task = coarse(owner)
    inputs = draw(task, count=task.chunk).inputs
    axes = (0, *range(2, inputs.ndim))
    assert (np.abs(inputs.mean(axes)) < 0.4).all()
    assert (inputs.std(axes) > 0.4).all()
    assert (inputs.std(axes) < 1.6).all()


@pytest.mark.parametrize("owner", [*LINES, *PLANES])
def test_bytes_follow_the_stream_and_splits_share_nothing(owner) -> None:
    task = coarse(owner)

    def digest(split):
        return hashlib.sha256(split.inputs.tobytes() + split.targets.tobytes()).hexdigest()

    first = digest(draw(task))
    assert first == digest(draw(coarse(owner)))
    others = [draw(task, seed=1), draw(task, index=1), draw(task, "val"), draw(task, "test")]
    assert len({first, *map(digest, others)}) == 5
    examples = [row.tobytes() for split in (draw(task), *others) for row in split.inputs]
    assert len(set(examples)) == len(examples)


@pytest.mark.parametrize("owner", [owner for owner in [*LINES, *PLANES] if owner is not Darcy2d])
def test_persistence_is_the_field_at_the_start(owner) -> None:
    """At an end that has hardly come, nothing has changed: the units of input and target agree."""
    task = coarse(owner)
    task.end = 1e-6  # type: ignore[misc]
    split = draw(task)
    start = PersistencePredictor(task.target).predict(split.inputs)
    assert metrics.nrmse(start, split.targets) < 1e-3


@pytest.mark.parametrize("owner", [Burgers, NavierStokes1d, DiffusionReaction2d, ShallowWater])
def test_a_rollout_ends_in_the_final_frame(owner) -> None:
    final, rollout = coarse(owner), coarse(owner, predict="rollout", frames=3)
    count = len(owner.quantities)
    last, all_frames = draw(final, count=2), draw(rollout, count=2)
    assert all_frames.targets.shape == (2, 3 * count, *rollout.target.grid)
    np.testing.assert_array_equal(all_frames.inputs, last.inputs)
    tail = all_frames.targets[:, -count:].reshape(last.targets.shape)
    assert metrics.nrmse(tail, last.targets) < 0.02
    assert len(rollout.target.persistence) == 3 * count
    # The score of a rollout is the mean over frames of the scores of single frames.
    guess = PersistencePredictor(rollout.target).predict(all_frames.inputs)
    frames = [metrics.channel_nrmse(guess[:, at : at + count], all_frames.targets[:, at : at + count]) for at in range(0, 3 * count, count)]
    assert rollout.metrics[0].compute(guess, all_frames) == pytest.approx(np.mean(frames), rel=1e-6)


def test_the_published_law_has_no_rollout() -> None:
    with pytest.raises(ValueError, match="predict=rollout needs law=well_posed"):
        Burgers.Params(law="published", predict="rollout")


def test_scores_of_quantities_average_to_the_primary_one() -> None:
    task = coarse(NavierStokes1d)
    split = draw(task)
    guess = PersistencePredictor(task.target).predict(split.inputs)
    scores = {metric.name: metric.compute(guess, split) for metric in task.metrics}
    assert list(scores) == ["nrmse", "nrmse_median", "nrmse_density", "nrmse_velocity", "nrmse_pressure"]
    by_hand = [
        np.mean([np.linalg.norm(guess[row, channel] - split.targets[row, channel]) / np.linalg.norm(split.targets[row, channel]) for row in range(4)])
        for channel in range(3)
    ]
    np.testing.assert_allclose([scores[f"nrmse_{name}"] for name in task.quantities], by_hand, rtol=1e-5)
    assert scores["nrmse"] == pytest.approx(np.mean(by_hand), rel=1e-5)


# What track paper keeps of the released loaders


def test_tracks_choose_the_law() -> None:
    assert all(owner.released_params == {"law": "published"} for owner in [*LINES, *PLANES])


@pytest.mark.parametrize(("owner", "train", "test"), [(DiffusionReaction1d, 0.29, 0.99), (DiffusionSorption, 500.0, 495.0)])
def test_released_loaders_train_on_one_frame_and_test_on_another(owner, train, test) -> None:
    task = coarse(owner, "published")
    for split, end in (("train", train), ("val", train), ("test", test)):
        expected = task.trajectories(4, np.array([end]), stream(task.name, task.version, 0, split, 0))[:, 1, 0]
        np.testing.assert_array_equal(draw(task, split).targets, expected.astype(np.float32))
    # The well-posed law asks for one frame everywhere.
    fair = coarse(owner)
    expected = fair.trajectories(4, np.array([owner.end]), stream(task.name, task.version, 0, "test", 0))[:, 1, 0]
    np.testing.assert_array_equal(draw(fair, "test").targets, expected.astype(np.float32))


def test_a_perfect_fit_to_the_published_training_frame_scores_0_217() -> None:
    task = coarse(DiffusionReaction1d, "published")
    early, late = (task.trajectories(200, np.array([end]), np.random.default_rng(0))[:, 1] for end in task.published_ends)
    assert metrics.nrmse(early, late) == pytest.approx(0.217, abs=0.015)


def test_the_published_burgers_target_is_the_mean_of_its_input() -> None:
    split = draw(coarse(Burgers, "published"), count=20)
    np.testing.assert_allclose(split.targets, np.repeat(split.inputs.mean(axis=2), 64, axis=1), atol=1e-6)


def test_the_published_diffusion_reaction_hides_the_inhibitor() -> None:
    task = coarse(DiffusionReaction2d, "published")
    split = draw(task)
    frames = task.trajectories(4, np.array([5.0]), stream(task.name, task.version, 0, "train", 0))
    np.testing.assert_array_equal(split.inputs[:, 0], frames[:, 0, 0])
    np.testing.assert_array_equal(split.targets, frames[:, 1, 1])
    assert coarse(DiffusionReaction2d).inputs.channels == 2


def test_published_shallow_water_repeats_itself_and_the_well_posed_one_does_not() -> None:
    published, fair = (np.concatenate([draw(coarse(ShallowWater, law), split, count=20).inputs for split in ("train", "test")]) for law in LAWS[::-1])
    assert len(np.unique(published.reshape(40, -1), axis=0)) < 20
    assert len(np.unique(fair.reshape(40, -1), axis=0)) == 40


def test_the_published_navier_stokes_line_is_normalised_by_training_inputs() -> None:
    task, size = coarse(NavierStokes1d, "published"), TaskSize(30, 2, 3)
    splits = task.generated(0, size)
    raw = generate_splits(task, 0, size, workers=1)
    mean, std = raw.train.inputs[:, 0].mean(0, dtype=float), raw.train.inputs[:, 0].std(0, ddof=1, dtype=float) + 1e-5
    np.testing.assert_allclose(splits.test.targets, (raw.test.targets - mean) / std, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(splits.val.inputs[:, 0], (raw.val.inputs[:, 0] - mean) / std, rtol=1e-4, atol=1e-5)
    # Density, pressure, velocity end to end.
    assert raw.train.inputs[:, 0, :64].min() >= 1
    assert raw.train.inputs[:, 0, 64:128].min() >= 10
    assert raw.train.inputs[:, 0, 128:].min() < 0


def test_the_published_navier_stokes_plane_is_never_decoded() -> None:
    splits = coarse(NavierStokes2d, "published").generated(0, TaskSize(8, 2, 3))
    for part in (splits.train.inputs, splits.train.targets):
        np.testing.assert_allclose(part.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(part.std(0, ddof=1), 1, rtol=1e-3)
    assert coarse(NavierStokes2d, "published").target.persistence == ()


def test_darcy_laws() -> None:
    fair, published = draw(coarse(Darcy2d)), draw(coarse(Darcy2d, "published"))
    # Both draw the coefficient first.
    np.testing.assert_array_equal(fair.inputs == 1, published.inputs == 1)
    assert set(np.unique(published.inputs)) == {np.float32(0.1), np.float32(1)}
    # The transient that is left is what the exact steady solution misses.
    assert metrics.nrmse(0.1 * fair.targets, published.targets) > 0.003
    assert coarse(Darcy2d, "published").released_metrics(4)[0].name == "nrmse"


# How much there is to learn (figures of the released data: copy of the input, mean of the training targets)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "law", "persistence", "floor"),
    [
        (Advection, "published", 1.06, 1.00),
        (DiffusionSorption, "published", 0.85, 0.054),
        (NavierStokes1d, "published", 0.73, 1.00),
        (DiffusionReaction2d, "published", 2.75, 1.0),
        (ShallowWater, "published", 0.23, 0.043),
    ],
)
def test_trivial_predictors_score_as_on_the_released_data(owner, law, persistence, floor) -> None:
    """Copying noise scores by its grid: 5.5 on 128 x 128, half of that on means of 2 x 2 cells."""
    task = owner(owner.Params(law=law))
    splits = task.generated(0, TaskSize(150, 2, 100))
    scores = [
        task.metrics[0].compute(predictor.predict(splits.test.inputs), splits.test)
        for predictor in (PersistencePredictor(task.target), ConstantPredictor(task.target, splits.train))
    ]
    np.testing.assert_allclose(scores, [persistence, floor], rtol=0.12)
