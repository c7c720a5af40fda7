"""The generated twins of the signal tasks: contract, determinism, disjoint splits and the physics of each simulator."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.signal import butter, find_peaks, sosfiltfilt

from pare_bench.builtin.suites.nas360.ecg import Ecg, recording_f1_error
from pare_bench.builtin.suites.nas360.fsd50k import Fsd50k, clip_map_error
from pare_bench.builtin.suites.nas360.ninapro import Ninapro
from pare_bench.builtin.suites.nas360.satellite import Satellite
from pare_bench.contracts.task import Classes, Split, TaskSize
from pare_bench.datasets.simulated import SimulatedTask, generate_splits, simulate_chunk
from pare_bench.simulators import audio, ecg, emg, mel, phenology

TASKS = (Satellite, Ecg, Ninapro, Fsd50k)


def digest(split: Split) -> str:
    parts = [split.inputs, split.targets, *(split.extras[name] for name in sorted(split.extras))]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.mark.parametrize("task_class", TASKS)
def test_shapes_types_and_values_fit_the_contract(task_class: type[SimulatedTask]) -> None:
    task = task_class()
    splits = generate_splits(task, 0, TaskSize(task.chunk + 1, task.chunk, task.chunk), workers=1)
    for split, count in ((splits.train, task.chunk + 1), (splits.val, task.chunk), (splits.test, task.chunk)):
        assert split.inputs.shape == (count, task.inputs.channels, *task.inputs.grid)
        assert split.inputs.dtype == np.float32
        assert np.isfinite(split.inputs).all()
        assert 0.2 < split.inputs.std() < 20
        assert split.extras["groups"].dtype == np.int64
        if isinstance(task.target, Classes):
            assert split.targets.dtype == np.int64
            assert split.targets.min() >= 0
            assert split.targets.max() < task.target.num
            assert len(np.unique(split.targets)) == task.target.num
        else:
            assert split.targets.dtype == np.float32
            assert split.targets.shape == (count, task.target.num)
            assert set(np.unique(split.targets)) == {0.0, 1.0}


@pytest.mark.parametrize("task_class", TASKS)
def test_bytes_follow_the_stream_and_groups_are_disjoint(task_class: type[SimulatedTask]) -> None:
    task = task_class()
    first = simulate_chunk(task, 0, "train", 0)
    assert digest(first) == digest(simulate_chunk(task_class(), 0, "train", 0))
    others = [simulate_chunk(task, 1, "train", 0), *(simulate_chunk(task, 0, *place) for place in (("train", 1), ("val", 0), ("test", 0)))]
    assert len({digest(split) for split in (first, *others)}) == 5
    seen = [set(split.extras["groups"].tolist()) for split in (first, *others[1:])]
    assert sum(len(groups) for groups in seen) == len(set.union(*seen))
    assert {len(split) for split in (first, *others)} == {task.chunk}


@pytest.mark.parametrize("task_class", TASKS)
def test_the_constant_floor_leaves_room(task_class: type[SimulatedTask]) -> None:
    task = task_class()
    split = simulate_chunk(task, 0, "test", 0)
    num = task.target.num
    constant = np.zeros((len(split), num), dtype=np.float32)
    perfect = np.eye(num, dtype=np.float32)[split.targets] if isinstance(task.target, Classes) else split.targets
    for metric in task.metrics:
        assert metric.compute(constant, split) > 0.65
        assert metric.compute(perfect, split) == pytest.approx(0.0, abs=1e-12)


# Satellite


def typical_year(name: str, shift: float = 0.0) -> np.ndarray:
    label = np.array([[crop.name for crop in phenology.CROPS].index(name)])
    return phenology.clear_sky(label, np.random.default_rng(0), shift=np.array([shift]), stretch=np.ones(1), spread=0.0)[0]


def test_a_typical_year_is_the_double_logistic() -> None:
    crop = phenology.CROPS[0]
    (amplitude, green, rise, brown, fall), days = crop.seasons[0], 8.0 * np.arange(46)
    expected = [crop.soil + amplitude * (1 / (1 + np.exp(-rise * (day - green))) - 1 / (1 + np.exp(-fall * (day - brown)))) for day in days]
    np.testing.assert_allclose(typical_year(crop.name), expected, atol=1e-12)


def test_crops_keep_their_calendar() -> None:
    days = 8 * np.arange(46)
    assert days[typical_year("winter barley").argmax()] < days[typical_year("winter wheat").argmax()] < 140
    assert 190 < days[typical_year("grain maize").argmax()] < 240
    double = typical_year("winter barley then soybean")
    valley = double[(days > 140) & (days < 200)].min()
    assert min(double[days < 140].max(), double[days > 200].max()) - valley > 0.25
    assert np.abs(typical_year("conifers") - typical_year("conifers").mean()).max() < 0.2 < np.ptp(typical_year("winter wheat"))
    # A shift of one step delays the series by one step.
    np.testing.assert_allclose(typical_year("sunflower", shift=8.0)[1:], typical_year("sunflower")[:-1], atol=1e-12)


def test_clouds_push_values_down_and_gaps_are_filled_linearly() -> None:
    rng = np.random.default_rng(3)
    parcels = phenology.simulate_parcels(np.arange(480) % 24, np.arange(480) * 8 // 480, rng)
    residual = parcels.observed - parcels.clear
    clean = ~parcels.filled & ~parcels.outliers
    assert 0.02 < parcels.outliers.mean() < 0.1
    assert 0.15 < parcels.filled.mean() < 0.5
    assert residual[parcels.outliers].mean() < -0.15
    assert abs(residual[clean].mean()) < 0.002
    assert residual[clean].std() == pytest.approx(0.02, rel=0.1)
    assert np.abs(parcels.observed).max() <= 1
    row = int(np.flatnonzero(parcels.filled.any(axis=1))[0])
    known = np.flatnonzero(~parcels.filled[row])
    expected = np.interp(np.arange(46), known, parcels.observed[row, known])
    np.testing.assert_allclose(parcels.observed[row], expected, atol=1e-12)


def test_series_are_standardised() -> None:
    series = simulate_chunk(Satellite(), 0, "val", 0).inputs[:, 0]
    np.testing.assert_allclose(series.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(series.std(axis=1), 1, atol=1e-5)
    assert (phenology.standardise(np.full((1, 46), 0.3)) == 0).all()


# ECG


def r_times(signal: np.ndarray) -> np.ndarray:
    # Only the QRS complex has power above 10 Hz.
    sharp = sosfiltfilt(butter(2, (10.0, 35.0), "bandpass", fs=ecg.RATE_HZ, output="sos"), signal)
    peaks, _ = find_peaks(sharp, height=0.5 * np.quantile(sharp, 0.995), distance=60)
    return peaks / ecg.RATE_HZ


def test_one_step_recursion_is_the_dynamical_model() -> None:
    beats = ecg.normal_rhythm(3.0, np.random.default_rng(2))
    mean_push = 2 * np.pi / np.diff(beats.times)

    def model(time: float, state: np.ndarray) -> list[float]:
        x, y, z = state
        alpha, omega = 1 - np.hypot(x, y), mean_push[np.searchsorted(beats.times, time, side="right") - 1]
        turn = np.interp(time, beats.times, np.arange(len(beats.times)))
        beat = int(np.floor(turn + 0.5))
        delta = (np.arctan2(y, x) - beats.angles[beat] + np.pi) % (2 * np.pi) - np.pi
        push = np.sum(beats.heights[beat] * delta * np.exp(-(delta**2) / (2 * beats.widths[beat] ** 2)))
        return [alpha * x - omega * y, alpha * y + omega * x, -push - (z - 0.005 * np.sin(2 * np.pi * 0.25 * time))]

    start = 2 * np.pi * np.interp(-ecg.LEAD_IN_S, beats.times, np.arange(len(beats.times)))
    grid = np.arange(900) / 300
    exact = solve_ivp(model, (-ecg.LEAD_IN_S, 3.0), [np.cos(start), np.sin(start), 0.0], t_eval=grid, max_step=1e-3, rtol=1e-7, atol=1e-9)
    signal = ecg.integrate(beats, 900)
    assert np.abs(signal - ecg.MILLIVOLT * exact.y[2]).max() < 0.01 * np.ptp(signal)


@pytest.mark.parametrize("mean_s", [0.5, 0.75, 1.1])
def test_the_heart_beats_at_the_requested_rate(mean_s: float) -> None:
    beats = ecg.normal_rhythm(60.0, np.random.default_rng(7), mean_s)
    found = r_times(ecg.integrate(beats, 60 * 300))
    assert np.diff(found).mean() == pytest.approx(mean_s, rel=0.02)
    expected = beats.times[(beats.times > 1) & (beats.times < 59)]
    assert np.abs(expected[:, None] - found[None, :]).min(axis=1).max() < 0.02


def test_fibrillation_is_irregular_and_has_no_p_wave() -> None:
    def measure(make: Callable[[float, np.random.Generator], ecg.Beats], seed: int) -> tuple[float, float]:
        beats = make(30.0, np.random.default_rng(seed))
        intervals = np.diff(beats.times)
        # The P wave's own part of the signal: with it minus without it.
        without = dataclasses.replace(beats, heights=beats.heights * [0, 1, 1, 1, 1])
        share = np.var(ecg.integrate(beats, 9000) - ecg.integrate(without, 9000)) / np.var(ecg.integrate(beats, 9000))
        return float(intervals.std() / intervals.mean()), float(share)

    normal = np.array([measure(ecg.normal_rhythm, seed) for seed in range(12)])
    atrial = np.array([measure(ecg.fibrillation_rhythm, seed) for seed in range(12)])
    assert np.median(atrial[:, 0]) > 2 * np.median(normal[:, 0])
    assert (atrial[:, 1] == 0).all()
    assert normal[:, 1].min() > 0.005


def test_fibrillatory_waves_lie_between_four_and_nine_hertz() -> None:
    for seed in range(5):
        waves = ecg.fibrillatory_waves(3000, np.random.default_rng(seed))
        spectrum = np.abs(np.fft.rfft(waves * np.hanning(3000))) ** 2
        assert 3.0 < np.fft.rfftfreq(3000, 1 / 300)[spectrum.argmax()] < 10.0


def test_other_rhythms_differ_as_named() -> None:
    def rhythm(kind: str) -> ecg.Beats:
        return ecg.other_rhythm(30.0, np.random.default_rng(11), kind)

    assert np.diff(rhythm("tachycardia").times).mean() < 60 / 105
    assert np.diff(rhythm("bradycardia").times).mean() > 60 / 56
    ectopy = rhythm("ventricular_ectopy")
    early, intervals = ectopy.heights[:, ecg.P] == 0, np.diff(ectopy.times)
    assert 0.1 < early.mean() <= 0.55
    # An early beat, then a pause that makes up for it: together two normal intervals.
    assert intervals[early[1:]].mean() < 0.8 * np.median(intervals) or early.mean() > 0.45
    assert intervals[early[1:]].mean() < 0.65 * intervals[early[:-1]].mean()
    assert (ectopy.widths[early, ecg.R] > 1.2 * np.median(ectopy.widths[~early, ecg.R])).all()
    dropped = rhythm("dropped_beats")
    assert (dropped.heights[~dropped.conducted, ecg.R] == 0).all()
    assert (dropped.heights[~dropped.conducted, ecg.P] > 0).all()
    assert len(r_times(ecg.integrate(dropped, 9000))) == pytest.approx(dropped.conducted[(dropped.times > 0) & (dropped.times < 30)].sum(), abs=1)
    with pytest.raises(ValueError, match="unknown rhythm"):
        rhythm("waltz")


def test_windows_come_from_whole_normalised_recordings() -> None:
    split = simulate_chunk(Ecg(), 0, "train", 0)
    np.testing.assert_array_equal(np.bincount(split.targets), [12, 12, 12, 12])
    groups, first, counts = np.unique(split.extras["groups"], return_index=True, return_counts=True)
    np.testing.assert_array_equal(np.bincount(split.targets[first]), [6, 3, 4, 3])
    np.testing.assert_array_equal(counts, np.array([2, 4, 3, 4])[split.targets[first]])
    assert (np.diff(split.extras["groups"]) >= 0).all()
    # Neighbouring windows of a fibrillation overlap by half.
    windows = split.inputs[split.extras["groups"] == groups[split.targets[first] == 1][0], 0]
    np.testing.assert_array_equal(windows[0, 500:], windows[1, :500])


def test_the_recording_metric_takes_the_majority() -> None:
    targets = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 0, 2])  # recording 5: two of three right; 6: a tie, the lower class wins; 7: right
    split = Split(np.zeros((6, 1, 1000), np.float32), targets, {"groups": np.array([5, 5, 5, 6, 6, 7])})
    # Recordings: true (0, 1, 2), voted (0, 0, 2): F1 2/3, 0, 1.
    assert recording_f1_error(np.eye(4)[predicted], split) == pytest.approx(1 - (2 / 3 + 0 + 1) / 3)


def test_an_independent_detector_finds_the_beats() -> None:
    neurokit = pytest.importorskip("neurokit2")
    beats = ecg.normal_rhythm(30.0, np.random.default_rng(4), 0.8)
    signal = ecg.device(ecg.integrate(beats, 9000) + 0.03 * np.random.default_rng(5).standard_normal(9000))
    _, found = neurokit.ecg_peaks(neurokit.ecg_clean(signal, sampling_rate=300), sampling_rate=300)
    times = found["ECG_R_Peaks"] / 300
    expected = beats.times[(beats.times > 0.5) & (beats.times < 29.5)]
    assert np.abs(expected[:, None] - times[None, :]).min(axis=1).max() < 0.05
    assert len(times) == pytest.approx(len(expected), abs=2)


# NinaPro


def test_recruitment_and_rate_coding_follow_the_pool_model() -> None:
    rates = emg.firing_rate(np.linspace(0, 1, 101))
    recruited = (rates > 0).sum(axis=1)
    assert recruited[0] == 0
    assert (np.diff(recruited) >= 0).all()
    assert recruited[70] == emg.UNITS > recruited[60]
    # Small units first, half of the pool below a fifth of full excitation; all start at the minimal rate and saturate below the peak.
    assert recruited[20] >= emg.UNITS / 2
    assert rates[rates > 0].min() == pytest.approx(8.0, abs=0.7)
    assert rates.max() == 40.0
    assert emg.SIZES[-1] / emg.SIZES[0] == pytest.approx(60 ** (1 - 1 / emg.UNITS))


def test_spike_trains_fire_at_their_rate_with_a_fifth_of_spread() -> None:
    rates = np.repeat(np.array([[10.0], [25.0]]), 200, axis=0) * np.ones((1, 4000))
    trains = emg.spike_trains(rates, np.random.default_rng(1))
    for rate, rows in ((10.0, trains[:200]), (25.0, trains[200:])):
        assert rows.sum(axis=1).mean() / 4.0 == pytest.approx(rate, rel=0.03)
        intervals = np.concatenate([np.diff(np.flatnonzero(row)) for row in rows]) / 1000
        assert intervals.mean() == pytest.approx(1 / rate, rel=0.03)
        assert intervals.std() / intervals.mean() == pytest.approx(0.2, rel=0.1)
    # A rate that starts in the middle gives no spike before.
    step = np.concatenate([np.zeros((50, 1000)), np.full((50, 1000), 30.0)], axis=1)
    late = emg.spike_trains(step, np.random.default_rng(2))
    assert late[:, :1000].sum() == 0 < late[:, 1000:].sum()


def test_crosstalk_falls_with_distance_and_turns_with_the_armband() -> None:
    near = emg.weights_of(np.zeros(1), np.array([0.8]), emg.electrode_angles())[0]
    order = np.argsort(np.abs(np.angle(np.exp(1j * emg.electrode_angles()))))
    assert (np.diff(near[order]) <= 1e-12).all()
    assert near.min() > 0
    turned = emg.weights_of(np.array([np.deg2rad(45.0)]), np.array([0.8]), emg.electrode_angles(shift_deg=45.0))[0]
    np.testing.assert_allclose(turned, near, atol=1e-12)
    deep = emg.weights_of(np.zeros(1), np.array([0.4]), emg.electrode_angles())[0]
    assert deep.max() / deep.min() < near.max() / near.min()


def test_windows_are_band_limited_and_follow_the_muscles() -> None:
    rng = np.random.default_rng(8)
    names = list(emg.GESTURES)
    flexion, extension, rest = (names.index(name) for name in ("wrist flexion", "wrist extension", "rest"))
    labels = np.repeat([flexion, extension, rest], 30)
    windows = np.concatenate([emg.simulate_trials(labels, emg.draw_subject(rng), rng) for _ in range(4)])
    labels = np.tile(labels, 4)
    power = [np.mean(windows[labels == label] ** 2, axis=(0, 2)) for label in (flexion, extension, rest)]
    ring = np.rad2deg(emg.electrode_angles()) % 360
    palmar, dorsal = (ring > 45) & (ring < 180), (ring > 210) & (ring < 350)
    assert power[0][palmar].mean() > 2 * power[0][dorsal].mean()
    assert power[1][dorsal].mean() > 2 * power[1][palmar].mean()
    assert power[2].max() < 0.2 * min(power[0].max(), power[1].max())
    spectrum = np.mean(np.abs(np.fft.rfft(windows * np.hanning(52), axis=-1)) ** 2, axis=(0, 1))
    frequencies = np.fft.rfftfreq(52, 1 / emg.OUTPUT_HZ)
    assert spectrum[frequencies < 4].sum() < 0.05 * spectrum.sum()
    assert 20 < (frequencies * spectrum).sum() / spectrum.sum() < 90


# FSD50K


def direct_features(sound: np.ndarray) -> np.ndarray:
    """The published pipeline by definition, in float64: explicit Fourier sums, one triangle at a time."""
    padded = np.concatenate([sound[960:0:-1], sound, sound[-2:-962:-1]]).astype(np.float64)
    window = np.zeros(1920)
    window[629 : 629 + 661] = np.sin(np.pi * np.arange(661) / 661) ** 2
    frames = np.array([padded[220 * frame : 220 * frame + 1920] * window for frame in range(101)])
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(1920), np.arange(961)) / 1920)
    power = np.abs(frames @ fourier) ** 2
    bins = np.arange(961) * 11025 / 960
    mels = np.linspace(0, 2595 * np.log10(1 + 11025 / 700), 98)
    corners = 700 * (10 ** (mels / 2595) - 1)
    bands = np.array([power @ np.interp(bins, corners[band : band + 3], [0, 1, 0]) for band in range(96)])
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80) + 75
    return np.concatenate([decibels - decibels.mean(), np.zeros((96, 1))], axis=1)


def test_features_are_the_published_pipeline() -> None:
    sound, _ = audio.draw_clip(np.random.default_rng(3))
    found = mel.features(sound[:22050])
    assert found.shape == (96, 102)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, direct_features(sound[:22050]), atol=2e-3)
    # Loud sound then silence: the floor lies 80 dB below the maximum.
    gated = np.where(np.arange(22050) < 9000, sound[:22050], 0).astype(np.float32)
    assert np.ptp(mel.mel_decibels(gated)) == pytest.approx(80.0, abs=1e-3)
    np.testing.assert_allclose(mel.features(gated), direct_features(gated), atol=2e-3)


def test_the_spectrogram_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    sound, _ = audio.draw_clip(np.random.default_rng(6))
    window = torch.hann_window(661, periodic=True, dtype=torch.float64)
    chunk = torch.tensor(sound[:22050], dtype=torch.float64)
    spectrum = torch.stft(chunk, 1920, 220, 661, window, center=True, pad_mode="reflect", return_complex=True)
    power = spectrum.abs().pow(2).numpy().T @ mel.filterbank()
    decibels = 10 * np.log10(np.maximum(power, 1e-10)).T
    np.testing.assert_allclose(mel.mel_decibels(sound[:22050]), np.maximum(decibels, decibels.max() - 80), atol=2e-3)


def test_a_tone_lights_the_band_of_its_frequency() -> None:
    for frequency in (220.0, 1000.0, 5000.0):
        tone = (0.5 * np.sin(2 * np.pi * frequency * np.arange(22050) / 22050)).astype(np.float32)
        band = mel.mel_decibels(tone).mean(axis=1).argmax()
        spacing = 2595 * np.log10(1 + 11025 / 700) / 97
        assert band == pytest.approx(2595 * np.log10(1 + frequency / 700) / spacing - 1, abs=1.0)


def test_labels_are_closed_upwards_and_follow_zipf() -> None:
    labels = audio.labels_of(np.array([0, 159]))
    np.testing.assert_array_equal(np.flatnonzero(labels), [0, 7, 8, 39, 40, 199])
    shares = np.sort(audio.KIND_SHARES)[::-1]
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(shares[0] / shares[[1, 9, 99]], [2, 10, 100])
    families = audio.KIND_SHARES.reshape(8, 20).sum(axis=1)
    assert families.min() > 0.04


def centroid_hz(sound: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float((np.fft.rfftfreq(len(sound), 1 / mel.RATE_HZ) * power).sum() / power.sum())


@pytest.mark.parametrize("family", audio.FAMILIES)
def test_carriers_sound_at_their_register(family: str) -> None:
    rng = np.random.default_rng(9)
    low, high = (audio.carrier(family, frequency, 11025, rng) for frequency in (300.0, 3000.0))
    assert low.std() == pytest.approx(1.0, rel=1e-3)
    assert 120 < centroid_hz(low) < 1300
    assert 1800 < centroid_hz(high) < 7000


def test_envelopes_shape_the_loudness() -> None:
    rng = np.random.default_rng(1)
    thirds = {name: audio.envelope(name, 12000, rng).reshape(3, -1).mean(axis=1) for name in audio.ENVELOPES}
    assert thirds["decay"][0] > 3 * thirds["decay"][2]
    assert thirds["swell"][2] > 2 * thirds["swell"][0]
    assert np.ptp(thirds["steady"]) < 0.05
    assert (audio.envelope("pulsed", 12000, rng) == 0).mean() > 0.3
    for call in (lambda: audio.envelope("square", 100, rng), lambda: audio.carrier("violin", 440.0, 100, rng)):
        with pytest.raises(ValueError, match="unknown"):
            call()


def test_clips_hold_one_to_four_events_in_sixteen_bits() -> None:
    rng = np.random.default_rng(2)
    clips = [audio.draw_clip(rng) for _ in range(30)]
    assert {len(kinds) for _, kinds in clips} == {1, 2, 3, 4}
    for sound, kinds in clips:
        assert sound.shape == (33075,)
        assert sound.dtype == np.float32
        assert len(set(kinds.tolist())) == len(kinds)
        assert 0.09 < np.abs(sound).max() <= 1
        assert (sound * 32768 == np.round(sound * 32768)).all()


def test_chunks_of_a_test_clip_are_scored_together() -> None:
    split = simulate_chunk(Fsd50k(), 0, "test", 0)
    _, counts = np.unique(split.extras["groups"], return_counts=True)
    assert (counts == 2).all()
    np.testing.assert_array_equal(split.targets[::2], split.targets[1::2])
    # Half a second apart: the second half of one chunk is the first half of the next, up to the chunk means.
    difference = split.inputs[0, 0, :, 55:96] - split.inputs[1, 0, :, 5:46]
    assert np.median(np.abs(difference - np.median(difference))) < 0.5
    train = simulate_chunk(Fsd50k(), 0, "train", 0)
    assert len(np.unique(train.extras["groups"])) == len(train)
    # Two clips of two chunks, one label: clip means 1 (negative) and 2 (positive), though the largest single logit is negative's.
    small = Split(split.inputs[:4], np.array([[0.0], [0.0], [1.0], [1.0]], np.float32), {"groups": np.array([4, 4, 9, 9])})
    assert clip_map_error(np.array([[5.0], [-3.0], [2.0], [2.0]]), small) == pytest.approx(0.0)
    assert clip_map_error(np.array([[5.0], [0.0], [2.0], [2.0]]), small) == pytest.approx(0.5)
