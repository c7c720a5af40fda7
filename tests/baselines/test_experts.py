"""Hand-designed experts: published sizes, what their layers compute against independent computations, choice by task, skips."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y
from torch import nn

from pare_bench import load
from pare_bench.config.resolution import Request, resolve
from pare_bench.conformance import check_method
from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Classes, Field, InputShape, Labels, PairMap, Split
from pare_bench.errors import UsageError
from pare_bench.model.losses import target_loss
from pare_bench.registry.names import Registry
from pare_bench.runs.runner import build_accelerator
from pare_bench.training.context import RunContext
from pare_bench.training.progress import Silent
from pare_bench_baselines.experts import harmonics
from pare_bench_baselines.experts.catalogue import BY_TASK, EXPERTS
from pare_bench_baselines.experts.channel_scale import ChannelScale
from pare_bench_baselines.experts.deepsea import DeepSea
from pare_bench_baselines.experts.fourier_operator import FourierOperator, SpectralConv1d, SpectralConv2d
from pare_bench_baselines.experts.resnet1d import SameConv1d
from pare_bench_baselines.experts.rocket import ALPHAS, RandomKernels, Rocket, ridge
from pare_bench_baselines.experts.spherical_cnn import S2Conv, SO3Conv, SphericalCnn, integrate_rotations, rotation_signal
from pare_bench_baselines.experts.wide_resnet import WideResNet
from pare_bench_baselines.hand_designed import HandDesigned

SUITE = ("cifar100", "spherical", "ninapro", "fsd50k", "darcy_flow", "psicov", "cosmic", "ecg", "satellite", "deepsea")
LINES = ("advection", "burgers", "diffusion_reaction_1d", "diffusion_sorption", "navier_stokes_1d")
PLANES = ("darcy_2d", "shallow_water", "diffusion_reaction_2d", "navier_stokes_2d")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def count(build, *arguments, **options) -> int:
    """Weights of a network that is never filled with numbers."""
    with torch.device("meta"):
        network = build(*arguments, **options)
    return sum(parameter.numel() for parameter in network.parameters())


@functools.cache
def registry() -> Registry:
    return Registry.from_environment()


def resolved(task: str, *overrides: str, preset: str = "cpu"):
    return resolve(registry(), Request("hand_designed", "nas360", (task,), preset=preset, overrides=overrides))[0]


# --- choice, sizes, skips ---------------------------------------------------------------------------------------------------------------


def test_every_task_of_the_suites_has_its_expert() -> None:
    assert set(BY_TASK) == {*SUITE, *LINES, *PLANES}
    assert set(registry().spec("suite", "pdebench").tasks) == {*LINES, *PLANES}
    assert {BY_TASK[task].name for task in (*LINES, *PLANES)} == {"pdebench_fno"}
    assert {task: BY_TASK[task].name for task in SUITE} == {
        "cifar100": "wide_resnet",
        "spherical": "spherical_cnn",
        "ninapro": "semg_attention",
        "fsd50k": "vgg_like",
        "darcy_flow": "fourier_operator",
        "psicov": "dilated_resnet",
        "cosmic": "unet",
        "ecg": "resnet1d",
        "satellite": "rocket",
        "deepsea": "deepsea",
    }


@pytest.mark.parametrize("task_name", SUITE)
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_outputs_have_the_shape_of_the_target(task_name: str, size) -> None:
    task = load("task", task_name)
    expert = BY_TASK[task_name]
    assert expert.misfit(task.inputs, task.target) is None
    outputs = expert.network(task.inputs, task.target, size).eval()(torch.randn(2, task.inputs.channels, *task.inputs.grid))
    match task.target:
        case Classes(num=num) | Labels(num=num):
            assert outputs.shape == (2, num)
        case Field(grid=grid):
            assert outputs.shape == (2, *grid)
        case PairMap(size=side):
            assert outputs.shape == (2, side, side)
            torch.testing.assert_close(outputs, outputs.transpose(1, 2))
    assert torch.isfinite(outputs).all()


def _form(name: str, **params):
    """Input shape and target of a task on a small grid; only their sizes follow from the grid."""
    component = registry().component("task", name)
    task = component(component.Params(points=32 if name in PLANES else 64, **params))
    return task.inputs, task.target


def _forms():
    yield from ((name, {}) for name in (*LINES, *PLANES))
    # Rollouts have quantities times frames of them, navier_stokes_1d on the paper track one long line.
    yield from ((name, {"predict": "rollout", "frames": 3}) for name in ("burgers", "navier_stokes_1d", "shallow_water", "navier_stokes_2d"))
    yield from ((name, {"law": "published"}) for name in ("navier_stokes_1d", "diffusion_reaction_2d", "navier_stokes_2d"))


@pytest.mark.parametrize("size", ["tiny", "small"])
@pytest.mark.parametrize("expert", ["pdebench_fno", "pdebench_unet"])
@pytest.mark.parametrize(("task_name", "params"), list(_forms()))
def test_fields_of_pdebench_are_fitted_in_their_units(expert: str, size, task_name: str, params) -> None:
    """Every form of the suite: right shape at once, and a few steps on four examples bring the loss well below that of the start."""
    inputs, target = _form(task_name, **params)
    chosen = EXPERTS[expert]
    assert chosen.misfit(inputs, target) is None
    rng = np.random.default_rng(0)
    # Quantities of very different size, as densities and pressures are.
    units = np.linspace(1, 60, target.channels).reshape(-1, *[1] * len(target.grid)) if target.channels > 1 else 60.0
    fields = rng.normal(size=(4, inputs.channels, *inputs.grid)).cumsum(-1).astype(np.float32)
    train = Split(fields, (units * np.tanh(fields.mean(1, keepdims=target.channels > 1)) + units).astype(np.float32))
    assert train.targets.shape == (4, *target.shape)
    network = nn.Sequential(chosen.network(inputs, target, size), chosen.scale(target, train))
    loss = target_loss(target)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    batch = torch.from_numpy(fields), torch.from_numpy(train.targets)
    losses = []
    for _ in range(20):
        outputs = network(batch[0])
        assert outputs.shape == batch[1].shape
        value = loss(outputs, batch[1], {}, None)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(value.item())
    assert losses[-1] < 0.8 * losses[0]


def test_experts_of_one_value_per_place_decline_several() -> None:
    several = Field((16, 16), channels=3)
    assert EXPERTS["dilated_resnet"].misfit(InputShape(1, (16, 16)), several) == "gives 1 value per place, the target has 3"
    assert EXPERTS["pdebench_fno"].misfit(InputShape(1, (16, 16)), several) is None
    assert "takes 2-D inputs" in (EXPERTS["dilated_resnet"].misfit(InputShape(1, (16,)), Field((16,))) or "")
    assert "the target lies on (8,)" in (EXPERTS["pdebench_unet"].misfit(InputShape(1, (16,)), Field((8,))) or "")


def test_recipes_of_a_task_are_those_of_size_small_alone() -> None:
    def epochs(task: str, *overrides: str) -> int:
        return resolve(registry(), Request("hand_designed", "pdebench", (task,), overrides=overrides))[0].budget.epochs

    expert = EXPERTS["pdebench_fno"]
    assert epochs("advection") == expert.recipes["small"]["budget.epochs"]
    assert epochs("darcy_2d") == expert.by_task["darcy_2d"]["budget.epochs"] != epochs("advection")
    assert epochs("darcy_2d", "method.size=published") == 500
    assert epochs("darcy_2d", "method.expert=pdebench_unet") == EXPERTS["pdebench_unet"].recipe("small", "darcy_2d")["budget.epochs"]


@pytest.mark.parametrize(("shape", "channels"), [((2, 5), 1), ((3, 4, 4), 1), ((2, 6), 3), ((2, 4, 5), 2)])
def test_channel_scale_is_that_of_all_values_of_a_channel(shape: tuple[int, ...], channels: int) -> None:
    n, *grid = shape
    rng = np.random.default_rng(0)
    targets = rng.normal(7, 3, (n, channels, *grid)) * np.arange(1, channels + 1).reshape(-1, *[1] * len(grid)) + rng.normal(size=grid)
    stored = (targets if channels > 1 else targets[:, 0]).astype(np.float32)
    scale = ChannelScale(Field(tuple(grid), channels=channels), Split(stored, stored))
    outputs = rng.normal(size=stored.shape).astype(np.float32)
    by_channel = np.moveaxis(targets, 1, 0).reshape(channels, -1)
    mean, std = (moment.reshape(-1, *[1] * len(grid)) for moment in (by_channel.mean(1), by_channel.std(1)))
    expected = (mean if channels > 1 else mean[0]) + (std if channels > 1 else std[0]) * outputs
    np.testing.assert_allclose(scale(torch.from_numpy(outputs)).numpy(), expected, rtol=1e-4, atol=1e-3)


def test_channel_scale_leaves_masks_alone() -> None:
    mask = np.ones((2, 4, 4), np.float32)
    outputs = torch.randn(2, 4, 4)
    assert torch.equal(ChannelScale(Field((4, 4), "mask"), Split(mask, mask))(outputs), outputs)


@pytest.mark.parametrize(
    ("task_name", "printed"),
    [
        # Counts that the literature or the released code prints; see docs/experts.md.
        ("cifar100", 36_536_884),
        ("darcy_flow", 2_368_001),
    ],
)
def test_published_sizes_have_the_printed_number_of_weights(task_name: str, printed: int) -> None:
    task = load("task", task_name)
    assert count(BY_TASK[task_name].network, task.inputs, task.target, "published") == printed


def test_printed_numbers_of_weights_for_other_heads() -> None:
    assert round(count(WideResNet, InputShape(3, (32, 32)), Classes(10), 28, 10) / 1e6, 1) == 36.5
    assert round(count(WideResNet, InputShape(3, (32, 32)), Classes(10), 16, 4) / 1e6, 1) == 2.7
    assert round(count(WideResNet, InputShape(3, (32, 32)), Classes(10), 40, 4) / 1e6, 1) == 8.9
    assert count(DeepSea, InputShape(4, (1000,)), Labels(919), **EXPERTS["deepsea"].sizes["published"]) == 52_843_119


def test_published_sizes_follow_from_their_layers() -> None:
    def counted(name: str, inputs: InputShape, target) -> int:
        return count(EXPERTS[name].network, inputs, target, "published")

    norm, pair = 2 * 64, 2 * (64 * 64 * 9 + 64)
    assert counted("dilated_resnet", InputShape(57, (16, 16)), PairMap(16)) == 2 * 57 + 57 * 64 + 64 + 128 * (norm + pair) + norm + 64 * 9 + 1
    widths = (16, 500, 500, 2000)
    classifier = 128 * 500 + 500 + 500 * 501 + 500 * 2000 + 2000 + 2 * sum(widths[1:]) + 2000 * 18 + 18
    assert counted("semg_attention", InputShape(1, (16, 52)), Classes(18)) == 2 * 52 + 16 * 128 + 128 + 2 * 128 + 52 * 53 + classifier
    channels = (1, 32, 32, 32, 64, 64, 128, 128)
    convolutions = sum(9 * before * after + 3 * after for before, after in itertools.pairwise(channels))
    assert counted("vgg_like", InputShape(1, (96, 102)), Labels(200)) == convolutions + 257 * 200
    pairs = [(1, 32), (32, 32), (32, 64), (64, 64), (64, 32), (32, 32)]
    assert counted("unet", InputShape(1, (16, 16)), Field((16, 16), "mask")) == sum(9 * a * b + 3 * b for a, b in pairs) + 64 * 32 * 4 + 32 + 33


def test_task_without_expert_is_skipped_with_a_reason() -> None:
    split = Split(np.zeros((4, 3, 16, 16), np.float32), np.arange(4))
    data = TrainData("fractals", InputShape(3, (16, 16)), Classes(4), (), split, split)
    assert "no hand-designed network for task 'fractals'" in (HandDesigned(HandDesigned.Params()).skip_reason(data) or "")
    assert HandDesigned(HandDesigned.Params(expert="wide_resnet")).skip_reason(data) is None
    assert "takes 1-D inputs" in (HandDesigned(HandDesigned.Params(expert="rocket")).skip_reason(data) or "")
    assert "the target is Classes" in (HandDesigned(HandDesigned.Params(expert="unet")).skip_reason(data) or "")
    coarse = TrainData("x", InputShape(3, (16, 16)), Field((8, 8)), (), split, split)
    assert "the target lies on (8, 8)" in (HandDesigned(HandDesigned.Params(expert="fourier_operator")).skip_reason(coarse) or "")
    with pytest.raises(UsageError, match="takes 1-D inputs"):
        HandDesigned(HandDesigned.Params(expert="rocket")).fit(data, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(EXPERTS))
def test_every_expert_keeps_the_contract_on_problems_that_it_fits(name) -> None:
    assert check_method(HandDesigned, HandDesigned.Params(expert=name, size="tiny")) == []


# --- recipe -----------------------------------------------------------------------------------------------------------------------------


def test_recipe_follows_expert_and_size_and_options_win() -> None:
    small = resolved("deepsea")
    assert small.recipe.learning_rate == EXPERTS["deepsea"].recipes["small"]["recipe.learning_rate"]
    assert small.budget.epochs == EXPERTS["deepsea"].recipes["small"]["budget.epochs"]
    assert resolved("deepsea", preset="smoke").budget.epochs == 2
    large = resolved("deepsea", "method.size=published")
    assert (large.recipe.optimiser, large.recipe.learning_rate, large.budget.epochs) == ("sgd", 0.01, 60)
    own = resolved("deepsea", "recipe.learning_rate=0.5", "budget.epochs=3")
    assert (own.recipe.learning_rate, own.budget.epochs) == (0.5, 3)
    assert own.recipe.batch_size == small.recipe.batch_size
    shared = resolved("deepsea", "recipe=shared")
    assert shared.recipe.batch_size == 16
    assert shared.budget.epochs == resolve(registry(), Request("full_finetune", "nas360", ("deepsea",)))[0].budget.epochs


def test_paper_preset_trains_the_published_size_with_its_own_recipe() -> None:
    config = resolved("cifar100", preset="paper")
    assert config.method.params["size"] == "published"
    recipe = config.recipe
    assert (recipe.optimiser, recipe.learning_rate, recipe.weight_decay, recipe.batch_size, recipe.accumulation) == ("sgd", 0.1, 5e-4, 128, 1)
    assert (recipe.trained, recipe.clip_norm, config.budget.epochs) == ("all", None, 200)


def test_other_methods_recommend_nothing() -> None:
    config = resolve(registry(), Request("full_finetune", "nas360", ("cifar100",)))[0]
    assert (config.recipe.batch_size, config.recipe.learning_rate) == (16, 1e-3)


# --- spherical harmonics and rotations --------------------------------------------------------------------------------------------------


def euler(rotation: Rotation) -> np.ndarray:
    """Angles a, b, c of Rz(a) Ry(b) Rz(c)."""
    return np.asarray(rotation.as_euler("ZYZ"))


def harmonics_at(points: np.ndarray, bandwidth: int) -> np.ndarray:
    """Values [n bandwidth 2 bandwidth - 1] of the harmonics of scipy at unit vectors [n 3]."""
    colatitude, longitude = np.arccos(np.clip(points[:, 2], -1, 1)), np.arctan2(points[:, 1], points[:, 0])
    values = np.zeros((len(points), bandwidth, 2 * bandwidth - 1), complex)
    for degree in range(bandwidth):
        for order in range(-degree, degree + 1):
            values[:, degree, bandwidth - 1 + order] = sph_harm_y(degree, order, colatitude, longitude)
    return values


def sphere_points(bandwidth: int) -> np.ndarray:
    colatitude = harmonics.colatitudes(bandwidth)[:, None]
    longitude = np.pi * np.arange(2 * bandwidth) / bandwidth
    ring = np.sin(colatitude)
    return np.stack(np.broadcast_arrays(ring * np.cos(longitude), ring * np.sin(longitude), np.cos(colatitude)), -1)


def band_limited(bandwidth: int, rng: np.random.Generator):
    """A real signal on the sphere with random coefficients below ``bandwidth``, as a function of unit vectors [n 3]."""
    coefficients = rng.normal(size=(bandwidth, 2 * bandwidth - 1)) + 1j * rng.normal(size=(bandwidth, 2 * bandwidth - 1))
    return lambda points: (harmonics_at(points, bandwidth) * coefficients).sum((1, 2)).real


def on_grid(signal, rotation: Rotation, bandwidth: int) -> torch.Tensor:
    """``signal`` turned by ``rotation``, sampled: [1 1 2B 2B]."""
    points = rotation.inv().apply(sphere_points(bandwidth).reshape(-1, 3))
    return torch.from_numpy(signal(points).reshape(1, 1, 2 * bandwidth, 2 * bandwidth)).float()


@pytest.mark.parametrize("bandwidth", [1, 2, 5, 30])
def test_quadrature_is_exact_below_twice_the_bandwidth(bandwidth: int) -> None:
    nodes, weights = np.cos(harmonics.colatitudes(bandwidth)), harmonics.quadrature(bandwidth)
    for degree in range(2 * bandwidth):
        assert weights @ nodes**degree == pytest.approx(0 if degree % 2 else 2 / (degree + 1), abs=1e-12)


def test_wigner_matrices_turn_the_harmonics_of_scipy() -> None:
    rng = np.random.default_rng(0)
    bandwidth = 6
    points = rng.normal(size=(20, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for seed in range(3):
        rotation = Rotation.random(random_state=seed)
        matrices = harmonics.wigner_matrices(bandwidth, euler(rotation)[None])[0]
        # Y_n(R^-1 x) = sum over m of D_mn(R) Y_m(x)
        expected = np.einsum("lmn,klm->kln", matrices, harmonics_at(points, bandwidth))
        np.testing.assert_allclose(harmonics_at(rotation.inv().apply(points), bandwidth), expected, atol=1e-10)


def test_spherical_coefficients_recover_a_band_limited_signal() -> None:
    rng = np.random.default_rng(1)
    signal = band_limited(5, rng)
    layer = S2Conv(1, 1, 8, 5, 0.5)
    coefficients = layer.coefficients(on_grid(signal, Rotation.identity(), 8))[0, 0].numpy()
    points = sphere_points(3).reshape(-1, 3)
    np.testing.assert_allclose((harmonics_at(points, 5) * coefficients).sum((1, 2)).real, signal(points), rtol=1e-4, atol=1e-4)


def test_sphere_convolution_is_the_correlation_with_turned_filters() -> None:
    """Against the definition: out(R) = sum over filter points p of w_p f(R p), as f is band-limited."""
    rng = np.random.default_rng(2)
    bandwidth = 5
    signal = band_limited(bandwidth, rng)
    layer = S2Conv(1, 1, 8, bandwidth, 0.7)
    outputs = layer(on_grid(signal, Rotation.identity(), 8))[0, 0].detach().numpy()
    rings = 0.7 * np.repeat([0.5, 1.0], 6)
    turns = np.tile(2 * np.pi * np.arange(6) / 6, 2)
    filter_points = np.stack([np.sin(rings) * np.cos(turns), np.sin(rings) * np.sin(turns), np.cos(rings)], -1)
    for j, a, c in [(0, 0, 0), (3, 7, 2), (9, 4, 5), (6, 9, 9)]:
        angles = (np.pi * a / bandwidth, harmonics.colatitudes(bandwidth)[j], np.pi * c / bandwidth)
        rotation = Rotation.from_euler("ZYZ", angles)
        expected = layer.weight.detach().numpy()[0, 0] @ signal(rotation.apply(filter_points))
        assert outputs[j, a, c] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_rotation_convolution_is_the_correlation_with_turned_filters() -> None:
    """Against the definition: out(R) = sum over filter points p of w_p F(R p)."""
    rng = np.random.default_rng(3)
    bandwidth = 4
    shape = (bandwidth, 2 * bandwidth - 1, 2 * bandwidth - 1)
    coefficients = rng.normal(size=shape) + 1j * rng.normal(size=shape)

    def signal(rotations: Rotation) -> np.ndarray:
        matrices = harmonics.wigner_matrices(bandwidth, np.array([euler(rotation) for rotation in rotations]))
        return (coefficients * matrices.conj()).sum((1, 2, 3)).real

    def grid(wide: int) -> list[tuple[float, float, float]]:
        turns = np.pi * np.arange(2 * wide) / wide
        return [(a, b, c) for b in harmonics.colatitudes(wide) for a in turns for c in turns]

    wide = 5
    layer = SO3Conv(1, 1, wide, bandwidth, 0.9)
    sampled = signal(Rotation.from_euler("ZYZ", grid(wide))).reshape(1, 1, 2 * wide, 2 * wide, 2 * wide)
    outputs = layer(torch.from_numpy(sampled).float())[0, 0].detach().numpy().ravel()
    turns = 2 * np.pi * np.arange(6) / 6
    points = Rotation.from_euler("ZYZ", [(a, b, c - a) for b in (0.45, 0.9) for a in turns for c in turns])
    places = [0, 77, 300, 511]
    for place in places:
        rotation = Rotation.from_euler("ZYZ", grid(bandwidth)[place])
        expected = layer.weight.detach().numpy()[0, 0] @ signal(rotation * points)
        assert outputs[place] == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_turning_the_input_turns_the_output() -> None:
    """f(Q^-1 x) gives out(Q^-1 R), so the integral of any power within the band is unchanged; a plain convolution's is not."""
    rng = np.random.default_rng(4)
    signal = band_limited(6, rng)
    layer = S2Conv(1, 3, 8, 6, 0.7)
    plain = nn.Conv2d(1, 3, 3)
    still = Rotation.identity()
    for seed in range(3):
        turned = Rotation.random(random_state=seed)
        outputs = [layer(on_grid(signal, rotation, 8)) for rotation in (still, turned)]
        assert not torch.allclose(outputs[0], outputs[1], atol=0.1)
        for power in (1, 2):
            # Degree 2 x 5 is below twice the bandwidth of the grid: the quadrature is exact.
            first, second = (integrate_rotations(output**power) for output in outputs)
            torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)
        first, second = ((plain(on_grid(signal, rotation, 8)) ** 2).mean((2, 3)) for rotation in (still, turned))
        assert not torch.allclose(first, second, rtol=1e-2)
    about_the_axis = Rotation.from_euler("Z", 2 * np.pi * 3 / 12)
    torch.testing.assert_close(
        layer(on_grid(signal, about_the_axis, 8)), torch.roll(layer(on_grid(signal, still, 8)), 3, dims=3), rtol=1e-3, atol=1e-3
    )


def test_features_of_the_whole_network_hardly_change_with_a_rotation() -> None:
    rng = np.random.default_rng(5)
    network = SphericalCnn(InputShape(1, (32, 32)), Classes(4), (10, 6), (8, 16)).eval()
    signals = [band_limited(6, rng) for _ in range(4)]
    still = network.features(torch.cat([on_grid(signal, Rotation.identity(), 16) for signal in signals])).detach()
    turned = network.features(torch.cat([on_grid(signal, Rotation.random(random_state=7), 16) for signal in signals])).detach()
    between = (still - still.mean(0)).square().mean().sqrt()
    # ReLU leaves the band, so invariance is not exact; it is far below the differences between signals.
    assert (still - turned).square().mean().sqrt() < 0.05 * between


def test_rotation_signal_of_one_coefficient_is_a_wigner_function() -> None:
    bandwidth = 3
    coefficients = torch.zeros(1, 1, 3, 5, 3, dtype=torch.complex64)
    coefficients[0, 0, 2, 3, 1] = 0.5 + 1j
    synthesis = torch.from_numpy(harmonics.wigner_table(bandwidth, bandwidth)[:, :, bandwidth - 1 :]).float()
    signal = rotation_signal(coefficients, synthesis)[0, 0]
    matrix = harmonics.wigner_matrices(bandwidth, np.array([[np.pi * 2 / 3, harmonics.colatitudes(3)[4], np.pi * 5 / 3]]))[0]
    # Order m = 1, n = 1 (n counted from 0 up) and the conjugate term of a real signal.
    assert signal[4, 2, 5].item() == pytest.approx(2 * ((0.5 + 1j) * matrix[2, 3, 3].conj()).real, abs=1e-6)


# --- Fourier operator -------------------------------------------------------------------------------------------------------------------


def test_spectral_layer_is_a_product_of_fourier_coefficients() -> None:
    layer = SpectralConv2d(2, 3, 3)
    with torch.no_grad():
        layer.weight.normal_()
    inputs = torch.randn(1, 2, 10, 12, dtype=torch.float64)
    outputs = layer.double()(inputs)[0].detach().numpy()
    spectrum = np.fft.fft2(inputs[0].numpy()) / 120
    weight = layer.weight.detach().numpy()[..., 0] + 1j * layer.weight.detach().numpy()[..., 1]
    rows, columns = np.meshgrid(np.arange(10) / 10, np.arange(12) / 12, indexing="ij")
    expected = np.zeros((3, 10, 12))
    for row in range(-3, 3):
        for column in range(3):
            wave = np.exp(2j * np.pi * (row * rows + column * columns))
            product = spectrum[:, row, column] @ weight[row % 6, column]
            if column > 0:
                expected += 2 * (product[:, None, None] * wave).real
            else:
                # A real output needs conjugate pairs; irfft2 keeps the Hermitian part of column 0.
                expected += (product[:, None, None] * wave).real
    np.testing.assert_allclose(outputs, expected, atol=1e-9)


@pytest.mark.parametrize("length", [11, 12])
def test_spectral_layer_on_a_line_is_a_product_of_fourier_coefficients(length: int) -> None:
    layer = SpectralConv1d(2, 3, 4).double()
    with torch.no_grad():
        layer.weight.normal_()
    inputs = torch.randn(1, 2, length, dtype=torch.float64)
    weight = layer.weight.detach().numpy()[..., 0] + 1j * layer.weight.detach().numpy()[..., 1]
    spectrum = np.fft.fft(inputs[0].numpy()) / length
    places = np.arange(length) / length
    expected = np.zeros((3, length))
    for frequency in range(4):
        product = spectrum[:, frequency] @ weight[frequency]
        # Negative frequencies are the conjugates; the mean is counted once.
        expected += (1 if frequency == 0 else 2) * (product[:, None] * np.exp(2j * np.pi * frequency * places)).real
    np.testing.assert_allclose(layer(inputs)[0].detach().numpy(), expected, atol=1e-12)


def test_operator_on_a_line_reads_another_resolution_and_commutes_with_shifts() -> None:
    operator = FourierOperator(InputShape(1, (32,)), Field((32,), channels=2), modes=4, width=8, layers=3, padding=0, hidden=8).double()
    line = torch.sin(2 * math.pi * torch.arange(96, dtype=torch.float64) / 96)[None, None] + 0.3
    fine, coarse = operator(line), operator(line[..., ::3])
    # GELU leaves the band, so the grids agree up to aliasing.
    assert (coarse - fine[..., ::3]).abs().max() < 1e-2 * coarse.std()
    torch.testing.assert_close(operator(line.roll(7, -1)), fine.roll(7, -1))


def test_coarse_lines_use_the_frequencies_they_have() -> None:
    assert SpectralConv1d(1, 1, 12)(torch.randn(1, 1, 8)).shape == (1, 1, 8)


def _wave(side: int) -> torch.Tensor:
    grid = torch.arange(side, dtype=torch.float64) / side
    rows, columns = torch.meshgrid(grid, grid, indexing="ij")
    first = torch.sin(2 * math.pi * (rows + 2 * columns)) + 0.3
    return torch.stack([first, torch.cos(2 * math.pi * (2 * rows - columns))])[None]


def test_spectral_layer_gives_the_same_function_on_every_resolution() -> None:
    layer = SpectralConv2d(2, 3, 4).double()
    torch.testing.assert_close(layer(_wave(48))[..., ::3, ::3], layer(_wave(16)), rtol=1e-9, atol=1e-12)


def test_operator_trained_on_one_grid_reads_another() -> None:
    operator = FourierOperator(InputShape(2, (32, 32)), Field((32, 32)), modes=4, width=8, layers=3, padding=0, hidden=8).double()
    coarse, fine = operator(_wave(32)), operator(_wave(96))[:, ::3, ::3]
    # GELU leaves the band, so the grids agree up to aliasing.
    assert (coarse - fine).abs().max() < 1e-2 * coarse.std()
    padded = FourierOperator(InputShape(2, (32, 32)), Field((32, 32)), modes=4, width=8, layers=2, padding=4, coordinates=True).double()
    assert padded(_wave(64).double()).shape == (1, 64, 64)


def test_coarse_grids_use_the_frequencies_they_have() -> None:
    assert SpectralConv2d(1, 1, 12)(torch.randn(1, 1, 8, 8)).shape == (1, 1, 8, 8)


# --- ROCKET -----------------------------------------------------------------------------------------------------------------------------


def test_random_kernels_against_a_loop() -> None:
    kernels = RandomKernels(InputShape(2, (30,)), 40)
    series = torch.randn(3, 2, 30)
    shares, largest = [], []
    for (size, dilation, padding), weights, biases in zip(kernels.layout, kernels.weights, kernels.biases, strict=True):
        for weight, bias in zip(weights.numpy(), biases.numpy(), strict=True):
            columns = []
            for example in series.numpy():
                outputs = []
                for start in range(-padding, 30 + padding - (size - 1) * dilation):
                    value = float(bias)
                    for tap in range(size):
                        if 0 <= start + tap * dilation < 30:
                            value += float(weight[:, tap] @ example[:, start + tap * dilation])
                    outputs.append(value)
                columns.append((np.mean(np.array(outputs) > 0), np.max(outputs)))
            shares.append([column[0] for column in columns])
            largest.append([column[1] for column in columns])
    expected = np.array(shares + largest).T
    np.testing.assert_allclose(kernels(series).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_random_kernels_have_the_published_distribution() -> None:
    kernels = RandomKernels(InputShape(1, (46,)), 3000)
    sizes = {size: sum(len(w) for (s, _, _), w in zip(kernels.layout, kernels.weights, strict=True) if s == size) for size in (7, 9, 11)}
    assert sum(sizes.values()) == 3000
    assert min(sizes.values()) > 850
    padded = sum(len(w) for (_, _, padding), w in zip(kernels.layout, kernels.weights, strict=True) if padding)
    assert 1350 < padded < 1650
    for (size, dilation, padding), weight, bias in zip(kernels.layout, kernels.weights, kernels.biases, strict=True):
        assert 1 <= dilation <= 45 / (size - 1)
        assert padding in (0, (size - 1) * dilation // 2)
        assert weight.mean((1, 2)).abs().max() < 1e-6
        assert bias.abs().max() <= 1
        assert not weight.requires_grad


def _series_data(count: int, length: int = 24) -> TrainData:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    waves = np.sin(np.arange(length) * (labels[:, None] + 1) * 0.4 + rng.uniform(0, 6, (count, 1)))
    split = Split((waves + 0.1 * rng.normal(size=waves.shape))[:, None].astype(np.float32), labels)
    return TrainData("satellite", InputShape(1, (length,)), Classes(4), load("task", "satellite").metrics, split, split)


def _context(*overrides: str) -> RunContext:
    config = resolved("satellite", *overrides, preset="smoke")
    return RunContext(config, registry(), Silent(), build_accelerator(config), None, lambda split, rng: split)


def test_ridge_is_the_leave_one_out_choice_of_a_direct_solution() -> None:
    data = _series_data(30)
    network = Rocket(data.inputs, data.target, 20)
    assert ridge(network, data, _context())
    features = network.transform(torch.from_numpy(data.train.inputs)).double().numpy()
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-8)
    signs = np.where(data.train.targets[:, None] == np.arange(4), 1.0, -1.0)

    def solve(rows: np.ndarray, targets: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        centre, offset = rows.mean(0), targets.mean(0)
        weights = np.linalg.solve((rows - centre).T @ (rows - centre) + alpha * np.eye(rows.shape[1]), (rows - centre).T @ (targets - offset))
        return weights, offset - centre @ weights

    errors = []
    for alpha in ALPHAS:
        error = 0.0
        for left_out in range(30):
            rest = np.arange(30) != left_out
            weights, bias = solve(scaled[rest], signs[rest], alpha)
            error += np.sum((scaled[left_out] @ weights + bias - signs[left_out]) ** 2)
        errors.append(error)
    weights, bias = solve(scaled, signs, ALPHAS[int(np.argmin(errors))])
    np.testing.assert_allclose(network.classify.weight.detach().numpy(), weights.T, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(network.classify.bias.detach().numpy(), bias, rtol=1e-3, atol=1e-5)
    # A class that training never shows is never predicted.
    assert network(torch.from_numpy(data.train.inputs)).argmax(1).max() < 3


def test_rocket_learns_and_counts_its_fixed_kernels() -> None:
    data = _series_data(60)
    predictor = HandDesigned(HandDesigned.Params(size="tiny")).fit(data, _context())
    assert np.mean(predictor.predict(data.val.inputs).argmax(1) == data.val.targets) > 0.95
    linear = 200 * 4 + 4
    assert predictor.parameters_trained == linear
    assert predictor.parameters_total > linear + 100 * 7


def test_a_recipe_set_by_the_user_trains_rocket_by_gradient_descent() -> None:
    data = _series_data(60)
    context = _context("recipe.learning_rate=0.01", "budget.epochs=3")
    HandDesigned(HandDesigned.Params(size="tiny")).fit(data, context)
    assert len(context.histories["train"].curve) == 3
    closed = _context()
    HandDesigned(HandDesigned.Params(size="tiny")).fit(data, closed)
    assert not closed.histories


def test_many_examples_are_fitted_by_gradient_descent() -> None:
    context = _context()
    HandDesigned(HandDesigned.Params(size="tiny")).fit(_series_data(201), context)
    assert len(context.histories["train"].curve) == 2


# --- the others -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "kernel", "stride"), [(1000, 16, 2), (7, 4, 2), (10, 3, 1), (5, 8, 2)])
def test_same_convolution_keeps_the_length_over_the_stride(length: int, kernel: int, stride: int) -> None:
    assert SameConv1d(1, 1, kernel, stride)(torch.randn(1, 1, length)).shape[-1] == math.ceil(length / stride)


def test_deepsea_reads_both_strands() -> None:
    network = DeepSea(InputShape(4, (400,)), Labels(3), (8, 8, 8), 8)
    bases = torch.randint(4, (5, 400))
    forward = torch.nn.functional.one_hot(bases, 4).transpose(1, 2).float()
    # A and T, C and G pair: in the order A, C, G, T the complement of base i is 3 - i.
    backward = torch.nn.functional.one_hot(3 - bases.flip(1), 4).transpose(1, 2).float()
    network.eval()
    torch.testing.assert_close(network(forward), network(backward))
    torch.testing.assert_close(network(forward), (network.read(forward) + network.read(backward)) / 2)
    alone = DeepSea(InputShape(4, (400,)), Labels(3), (8, 8, 8), 8, strands=False).eval()
    assert not torch.allclose(alone(forward), alone(backward))


def test_semg_features_see_one_time_step_in_the_published_network_only() -> None:
    inputs = InputShape(1, (4, 20))
    for kernel, seen in ((1, 1), (5, 5)):
        network = EXPERTS["semg_attention"].build(inputs, Classes(3), kernel=kernel, width=6, hidden=(8,), dropout=0.0).eval()
        signals = torch.randn(1, 4, 20)
        changed = signals.clone()
        changed[:, :, 10] += 1
        differs = (network.convolve(signals) - network.convolve(changed)).abs().sum((0, 1)) > 1e-6
        assert differs.sum() == seen


def test_unet_takes_lines_that_do_not_halve() -> None:
    network = EXPERTS["pdebench_unet"].build(InputShape(2, (21,)), Field((21,), channels=3), scales=3, width=2)
    assert network(torch.randn(2, 2, 21)).shape == (2, 3, 21)


def test_unet_takes_sides_that_do_not_halve() -> None:
    network = EXPERTS["unet"].build(InputShape(1, (21, 30)), Field((21, 30), "mask"), scales=3, width=2)
    assert network(torch.randn(2, 1, 21, 30)).shape == (2, 21, 30)


def test_dilated_network_sees_far() -> None:
    """Blocks with dilations 1, 2, 4, each after a plain convolution, and a last convolution: 3 + (1 + 2 + 4) + 1 pixels to either side."""
    network = EXPERTS["dilated_resnet"].build(InputShape(1, (41, 41)), Field((41, 41)), blocks=3, width=4).eval()
    inputs = torch.randn(1, 1, 41, 41, requires_grad=True)
    network(inputs)[0, 20, 20].backward()
    reached = inputs.grad[0, 0].abs().sum(0).nonzero().flatten()
    assert (reached.min().item(), reached.max().item()) == (20 - 11, 20 + 11)
