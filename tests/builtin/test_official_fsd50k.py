"""FSD50K from the published chunks and from the wav release: sound, features, clips, the frozen training set and its augmentation."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official_files import fsd50k as written
from scipy.io import wavfile
from scipy.signal import resample_poly

from pare_bench import metrics
from pare_bench.builtin.suites.nas360.fsd50k import Fsd50k
from pare_bench.builtin.suites.nas360.fsd50k_augmentation import augmented, masked, transformed
from pare_bench.builtin.suites.nas360.fsd50k_sound import starts
from pare_bench.contracts.task import Split, Splits
from pare_bench.datasets import wav
from pare_bench.datasets.official import OfficialFiles, official_data
from pare_bench.errors import DataMissingError, IntegrityError

RELEASE = Fsd50k(Fsd50k.Params(source="release"))


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chunks")
    written.write(root)
    return root


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release")
    written.write_release(root)
    return root


@pytest.fixture
def own(chunks: Path, tmp_path: Path) -> Path:
    """A copy of the chunks to damage."""
    return Path(shutil.copytree(chunks, tmp_path / "own"))


def files(root: Path) -> OfficialFiles:
    return OfficialFiles(root, "fsd50k")


@cache
def transforms() -> tuple[np.ndarray, np.ndarray]:
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(1920), np.arange(961)) / 1920)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 11025 / 700), 98) / 2595) - 1)
    return fourier, np.array([np.interp(np.arange(961) * 11025 / 960, corners[band : band + 3], [0, 1, 0]) for band in range(96)])


def published_decibels(sound: np.ndarray) -> np.ndarray:
    """Mel decibels by definition, in float64: explicit Fourier sums of centred frames, one triangle at a time, minus the mean."""
    padded = np.concatenate([sound[960:0:-1], sound, sound[-2:-962:-1]]).astype(np.float64)
    window = np.zeros(1920)
    window[629 : 629 + 661] = np.sin(np.pi * np.arange(661) / 661) ** 2
    frames = np.array([padded[start : start + 1920] * window for start in range(0, len(sound) + 1, 220)])
    fourier, triangles = transforms()
    # The window is zero elsewhere.
    power = np.abs(frames[:, 629:1290] @ fourier[629:1290]) ** 2
    bands = triangles @ power.T
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    return decibels - decibels.mean()


def second(sound: np.ndarray) -> np.ndarray:
    """A second of sound: repeated where there is less."""
    return np.concatenate([sound] * (22_050 // len(sound) + 1))[:22_050] if len(sound) < 22_050 else sound


def row_of(labels: list[str]) -> np.ndarray:
    row = np.zeros(200, np.float32)
    for label in labels:
        row[int(label.removeprefix("Sound_"))] = 1
    return row


def check(split: Split, sounds: list[np.ndarray], clips: list[int], atol: float = 2e-3) -> None:
    assert split.inputs.shape == (len(sounds), 1, 96, 102)
    inputs = np.asarray(split.inputs[:])
    assert inputs.dtype == np.float32
    assert not inputs[..., 101].any()
    for found, sound in zip(inputs, sounds, strict=True):
        np.testing.assert_allclose(found[0, :, :101], published_decibels(sound), atol=atol)
    np.testing.assert_array_equal(np.asarray(split.targets[:]), [row_of(written.labels_of(clip)) for clip in clips])
    np.testing.assert_array_equal(np.asarray(split.extras["groups"]), clips)


def chunk_sounds(root: Path, part: str) -> tuple[list[np.ndarray], list[int]]:
    rows = written.chunk_rows(part)
    return [second(wavfile.read(root / "fsd50k" / written.folder_of(part) / name)[1] / 32768) for name, _ in rows], [clip for _, clip in rows]


def test_clean_track_takes_every_published_chunk(chunks: Path) -> None:
    splits = Fsd50k().official(files(chunks), "clean")
    for split, part in ((splits.train, "tr"), (splits.val, "val"), (splits.test, "eval")):
        check(split, *chunk_sounds(chunks, part))
    assert [len(splits.train), len(splits.val), len(splits.test)] == [39, 12, 13]


def test_any_examples_are_read_in_any_order(chunks: Path) -> None:
    train = Fsd50k().official(files(chunks), "clean").train
    everything = np.asarray(train.inputs[:])
    np.testing.assert_array_equal(train.inputs[np.array([7, 0, 7])], everything[[7, 0, 7]])
    np.testing.assert_array_equal(train.take(np.array([5, 2])).targets, np.asarray(train.targets[:])[[5, 2]])


def cut_clip(path: Path, rate: int) -> list[np.ndarray]:
    """The published steps on a whole clip: 22,050 Hz, 16 bits, then a second every half second."""
    whole = wavfile.read(path)[1] / 32768
    if rate != 22_050:
        divisor = np.gcd(rate, 22_050)
        whole = np.clip(np.rint(resample_poly(whole, 22_050 // divisor, rate // divisor) * 32768), -32768, 32767) / 32768
    if len(whole) < 22_050:
        return [second(whole)]
    return [second(whole[start : start + 22_050]) for start in range(0, len(whole), 11_025)]


@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
def test_clean_track_cuts_the_release(tmp_path: Path, rate: int) -> None:
    written.write_release(tmp_path, rate=rate)
    splits = RELEASE.official(files(tmp_path), "clean")
    for split, part in ((splits.train, "tr"), (splits.val, "val"), (splits.test, "eval")):
        folder = "FSD50K.eval_audio" if part == "eval" else "FSD50K.dev_audio"
        cut = [(piece, clip) for clip in written.CLIPS[part] for piece in cut_clip(tmp_path / "fsd50k" / folder / f"{clip}.wav", rate)]
        check(split, [piece for piece, _ in cut], [clip for _, clip in cut])


def test_chunks_start_every_half_second_while_there_is_sound() -> None:
    assert list(starts(1)) == [0]
    assert list(starts(22_049)) == [0]
    assert list(starts(22_050)) == [0, 11_025]
    assert list(starts(22_051)) == [0, 11_025, 22_050]
    assert list(starts(33_075)) == [0, 11_025, 22_050]


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([8_000, 16_000, 32_000, 44_100, 48_000, 96_000]), share=st.floats(0, 1), count=st.integers(1, 3000), seed=st.integers(0, 99)
)
def test_a_part_of_a_file_is_resampled_as_the_whole(tmp_path_factory: pytest.TempPathFactory, rate: int, share: float, count: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    stored = written.sound("a", 20_000 + seed, seed)
    written.write_wav(path, stored, rate)
    sound = wav.opened(path)
    divisor = np.gcd(rate, 22_050)
    whole = np.rint(resample_poly(stored / 32768, 22_050 // divisor, rate // divisor) * 32768) / 32768
    assert sound.length == len(whole)
    start = int(share * (len(whole) - 1))
    count = min(count, len(whole) - start)
    np.testing.assert_allclose(wav.resampled(sound, start, count), whole[start : start + count], atol=1.01 / 32768)
    assert np.mean(wav.resampled(sound, start, count) != whole[start : start + count].astype(np.float32)) < 0.01


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([written.sound("left", 500), written.sound("right", 500)], axis=1)
    written.write_wav(tmp_path / "a.wav", stereo, channels=2)
    np.testing.assert_allclose(wav.samples(wav.opened(tmp_path / "a.wav"), 100, 50), stereo[100:150].astype(float).mean(axis=1) / 32768)


@pytest.mark.parametrize(("task", "fixture"), [(Fsd50k(), "chunks"), (RELEASE, "release")], ids=["chunks", "release"])
def test_paper_track_freezes_one_chunk_of_each_clip(
    task: Fsd50k, fixture: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = request.getfixturevalue(fixture)
    plain = task.official(files(root), "clean")
    splits = task.official(files(root), "paper")
    np.testing.assert_array_equal(np.asarray(splits.train.extras["groups"]), sorted(written.CLIPS["tr"]))
    np.testing.assert_array_equal(np.asarray(splits.train.targets[:]), [row_of(written.labels_of(clip)) for clip in sorted(written.CLIPS["tr"])])
    for split in (splits.val, splits.test):
        np.testing.assert_array_equal(np.asarray(split.extras["groups"]), np.asarray(plain.test.extras["groups"]))
        np.testing.assert_array_equal(split.inputs[:], plain.test.inputs[:])
    frozen = np.asarray(splits.train.inputs[:])
    assert not frozen[..., 101].any()
    # Frozen: the same again, in any batch and from new objects; not all clips are unchanged.
    np.testing.assert_array_equal(splits.train.inputs[np.array([3, 1])], frozen[[3, 1]])
    np.testing.assert_array_equal(task.official(files(root), "paper").train.inputs[:], frozen)
    # Without the augmentation each example is one of its clip's chunks, and the later chunks are chosen, too.
    monkeypatch.setattr("pare_bench.builtin.suites.nas360.fsd50k_files.augmented", lambda spectrogram, noises, rng: spectrogram)
    chosen = np.asarray(task.official(files(root), "paper").train.inputs[:])
    groups, inputs = np.asarray(plain.train.extras["groups"]), np.asarray(plain.train.inputs[:])
    places = []
    for clip, example in zip(sorted(written.CLIPS["tr"]), chosen, strict=True):
        matches = [np.array_equal(example, chunk) for chunk in inputs[groups == clip]]
        assert sum(matches) == 1
        places.append(matches.index(True))
    assert max(places) >= 1
    assert 0.4 < np.mean([not np.array_equal(one, other) for one, other in zip(frozen, chosen, strict=True)]) <= 1


def test_the_noises_are_whole_files_without_their_mean(chunks: Path) -> None:
    from pare_bench.builtin.suites.nas360.fsd50k_files import noises

    found = noises(files(chunks))
    assert len(found) == 3
    for name, spectrogram in zip(sorted(written.NOISES), found, strict=True):
        sound = second(wavfile.read(chunks / "fsd50k" / "noise_22050" / f"{name}.wav")[1] / 32768)
        assert spectrogram.shape == (96, 1 + len(sound) // 220)
        np.testing.assert_allclose(spectrogram, published_decibels(sound), atol=2e-3)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), frames=st.integers(20, 300))
def test_masks_are_bands_and_spans_at_the_smallest_value(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    spectrogram = rng.standard_normal((96, frames)).astype(np.float32)
    found = masked(spectrogram, rng)
    changed = found != spectrogram
    assert (found[changed] == spectrogram.min()).all()
    rows, columns = changed.mean(axis=1) > 0.9, changed.mean(axis=0) > 0.9
    # What is changed is rows and columns, at most two rounds of 15 % and 20 %.
    assert not changed[np.ix_(~rows, ~columns)].any()
    assert rows.sum() <= 2 * int(0.15 * 96)
    assert columns.sum() <= 2 * int(0.20 * frames)


def test_chances_and_sizes_of_the_augmentation_are_the_released_ones() -> None:
    rng = np.random.default_rng(0)
    spectrogram = np.zeros((96, 101), np.float32)
    spectrogram[::2] = 1  # half of the bands stand out from the smallest value
    widths = np.array([((masked(spectrogram, rng)[::2] == 0).mean(axis=1) == 1).sum() / 48 for _ in range(4000)])
    # One or two bands of up to 15 %: on average 1.5 times 7.5 %, a little less for whole numbers and overlap.
    assert widths.mean() == pytest.approx(0.108, abs=0.008)
    ramp = np.tile(np.arange(101, dtype=np.float32), (96, 1)) + 1
    noise = np.full((96, 101), -50, np.float32)
    outcomes = [augmented(ramp, [noise], rng) for _ in range(4000)]
    untouched = np.mean([np.array_equal(outcome, ramp) for outcome in outcomes])
    assert untouched == pytest.approx(0.5 * 0.25, abs=0.02)
    shares = [1 - float(outcome.max() + 50) / (101 + 50) for outcome in outcomes]
    mixed = np.array([share for share in shares if share > 1e-6 and share < 0.5])
    # a ~ U(0, 1/2); a mask over the last frames only shifts a little of it.
    assert mixed.mean() == pytest.approx(0.25, abs=0.03)


def test_the_background_is_mixed_in_decibels() -> None:
    for seed in range(40):
        spectrogram = np.random.default_rng(seed).standard_normal((96, 101)).astype(np.float32)
        noise = (np.arange(150, dtype=np.float32) + 10) * np.ones((96, 1), np.float32)
        rng, replay = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 1])
        found = augmented(spectrogram, [noise], rng)
        clean = transformed(spectrogram, 101, replay)
        if replay.random() >= 0.75:
            np.testing.assert_array_equal(found, clean)
            continue
        share = replay.uniform(0, 0.5)
        replay.integers(1)
        background = transformed(noise, 101, replay)
        np.testing.assert_allclose(found, (1 - share) * clean + share * background, rtol=1e-5, atol=1e-5)


def test_scores_are_per_clip_on_both_tracks(chunks: Path) -> None:
    task = Fsd50k()
    test = task.official(files(chunks), "paper").test
    outputs = np.random.default_rng(0).standard_normal((len(test), 200)).astype(np.float32)
    clips = np.asarray(test.extras["groups"])
    averaged = np.array([outputs[clips == clip].mean(axis=0) for clip in sorted(set(clips.tolist()))])
    targets = np.array([row_of(written.labels_of(clip)) for clip in sorted(set(clips.tolist()))])
    expected = metrics.map_error(averaged, targets)
    for metric in (task.metrics[0], task.released_metrics(1)[0], task.released_metrics(256)[0]):
        assert metric.compute(outputs, test) == pytest.approx(expected, abs=1e-6)


def test_the_released_metric_is_not_chunked() -> None:
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 700, 2500)
    labels = (rng.random((700, 200)) < 0.1).astype(np.float32)
    split = Split(np.zeros((2500, 1, 1, 1), np.float32), labels[clips], {"groups": clips})
    outputs = rng.standard_normal((2500, 200)).astype(np.float32) + labels[clips]
    averaged = np.array([outputs[clips == clip].mean(axis=0) for clip in np.unique(clips)])
    assert Fsd50k().released_metrics(16)[0].compute(outputs, split) == pytest.approx(metrics.map_error(averaged, labels[np.unique(clips)]), abs=1e-9)


def test_generated_paper_track_does_not_merge_the_validation_clips() -> None:
    splits = Splits(*(Split(np.zeros((count, 1, 96, 102), np.float32), np.zeros((count, 200), np.float32)) for count in (3, 2, 4)))
    paper = Fsd50k().in_track(splits, "paper")
    assert paper.train is splits.train
    assert paper.val is splits.test
    assert Fsd50k().in_track(splits, "clean") is splits


def test_the_identity_knows_source_track_and_content(chunks: Path, own: Path) -> None:
    first = official_data(Fsd50k(), chunks).sha256
    assert official_data(Fsd50k(), chunks).sha256 == first
    assert official_data(Fsd50k(), chunks, "paper").sha256 != first
    written.write_wav(own / "fsd50k" / "chunks" / "dev" / "1000_0000.wav", written.sound("other", 20_000))
    assert official_data(Fsd50k(), own).sha256 != first


def test_the_flat_folder_of_the_released_code_is_found(own: Path) -> None:
    (own / "fsd50k").rename(own / "audio")
    splits = Fsd50k().official(files(own), "paper")
    assert [len(splits.train), len(splits.test)] == [20, 13]
    check(splits.test, *chunk_sounds_of(own / "audio"))


def chunk_sounds_of(base: Path) -> tuple[list[np.ndarray], list[int]]:
    (base.parent / "fsd50k").symlink_to(base)
    return chunk_sounds(base.parent, "eval")


def test_the_release_is_offered_and_not_taken(release: Path) -> None:
    with pytest.raises(DataMissingError, match="the wav release is there") as caught:
        Fsd50k().official(files(release), "clean")
    assert "-o task.source=release" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("task", "said"), [(Fsd50k(), r"chunks/(lbl_map\.json|tr\.csv)"), (RELEASE, r"FSD50K\.ground_truth/vocabulary\.csv")], ids=["chunks", "release"]
)
def test_nothing_there_is_said(tmp_path: Path, task: Fsd50k, said: str) -> None:
    with pytest.raises(DataMissingError, match=said):
        task.official(files(tmp_path), "clean")


def test_the_paper_track_needs_the_noise(own: Path) -> None:
    shutil.rmtree(own / "fsd50k" / "noise_22050")
    Fsd50k().official(files(own), "clean")
    with pytest.raises(DataMissingError, match="noise_22050"):
        Fsd50k().official(files(own), "paper")


GOOD = ["data/chunks/dev/1000_0000.wav", "Sound_1", "1000"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["files", "labels"], GOOD[:2]], "no column 'ext'; it has files, labels"),
        ([], "no column 'files'; it has none"),
        ([["files", "labels", "ext"]], "lists no clip"),
        ([["files", "labels", "ext"], GOOD[:2]], "line 2 has 2 fields, 3 were expected"),
        ([["files", "labels", "ext"], GOOD, ["data/../../secret.wav", "Sound_1", "1000"]], r"line 3 names 'data/\.\./\.\./secret\.wav'"),
        ([["files", "labels", "ext"], ["data/chunks/../../../secret.wav", "Sound_1", "1000"]], "not a file below the data folder"),
        ([["files", "labels", "ext"], ["data//etc/passwd", "Sound_1", "1000"]], "etc"),
        ([["files", "labels", "ext"], ["data/chunks\\dev\\1000_0000.wav", "Sound_1", "1000"]], "not a file below the data folder"),
        ([["files", "labels", "ext"], ["data/chunks/dev/9_0000.wav", "Sound_1", "9"]], "there is no"),
        ([["files", "labels", "ext"], ["data/chunks/tr.csv", "Sound_1", "9"]], "there is no"),
        ([["files", "labels", "ext"], [GOOD[0], "Sound_1,Sound_200", "1000"]], "unknown label 'Sound_200'"),
        ([["files", "labels", "ext"], [GOOD[0], "", "1000"]], "unknown label ''"),
        ([["files", "labels", "ext"], [GOOD[0], "Sound_1", "a"]], "clip id 'a'"),
        ([["files", "labels", "ext"], [GOOD[0], "Sound_1", "2001"]], "clip 2001 is in both training and validation"),
    ],
)
def test_wrong_lists_are_one_clear_error(own: Path, rows: list[list[object]], said: str) -> None:
    (own / "secret.wav").write_bytes(b"RIFF")
    written.write_csv(own / "fsd50k" / "chunks" / "tr.csv", rows or [[]])
    with pytest.raises((IntegrityError, DataMissingError), match=said) as caught:
        Fsd50k().official(files(own), "clean")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"Sound_0": 0}), json.dumps({f"Sound_{n}": n + 1 for n in range(200)})])
def test_wrong_label_maps_are_refused(own: Path, content: str) -> None:
    (own / "fsd50k" / "chunks" / "lbl_map.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"lbl_map\.json"):
        Fsd50k().official(files(own), "clean")


def wav_bytes(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("damage", ["empty", "short", "text", "rate", "long", "bits"])
def test_damaged_chunks_are_named_when_they_are_read(own: Path, damage: str) -> None:
    name = "2000_0000.wav"
    path = own / "fsd50k" / "chunks" / "dev" / name
    if damage in ("rate", "long"):
        written.write_wav(path, written.sound(name, 22_050 if damage == "rate" else 30_000), 44_100 if damage == "rate" else 22_050)
    elif damage == "bits":
        wavfile.write(path, 22_050, np.zeros(22_050, np.uint8))
    else:
        path.write_bytes({"empty": b"", "short": wav_bytes(path)[:30_000], "text": b"not a wav file at all"}[damage])
    val = Fsd50k().official(files(own), "clean").val
    place = [row for row, _ in written.chunk_rows("val")].index(name)
    with pytest.raises(IntegrityError, match=name) as caught:
        val.inputs[place : place + 1]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "rows", "said"),
    [
        ("dev", [["fname", "labels", "mids", "split"], [1000, "Sound_1", "/m", "test"]], "split 'test', train or val"),
        ("dev", [["fname", "labels", "mids", "split"], [1000, "Sound_1", "/m", "eval"]], "split 'eval', train or val"),
        ("dev", [["fname", "labels", "mids"], [1000, "Sound_1", "/m"]], "no column 'split'"),
        ("eval", [["fname", "labels", "mids"], [9, "Sound_1", "/m"]], "clip '9'"),
        ("eval", [["fname", "labels", "mids"], ["../FSD50K.dev_audio/1000", "Sound_1", "/m"]], "there is no"),
        ("eval", [["fname", "labels", "mids"], [3000, "Sound_300", "/m"]], "unknown label 'Sound_300'"),
        ("vocabulary", [[0, "Sound_0", "/m"]], "does not number 200 labels"),
    ],
)
def test_wrong_release_tables_are_one_clear_error(release: Path, tmp_path: Path, table: str, rows: list[list[object]], said: str) -> None:
    shutil.copytree(release, tmp_path / "own")
    written.write_csv(tmp_path / "own" / "fsd50k" / "FSD50K.ground_truth" / f"{table}.csv", rows)
    with pytest.raises(IntegrityError, match=said):
        RELEASE.official(files(tmp_path / "own"), "clean")


def test_a_damaged_clip_of_the_release_is_named(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "own")
    path = tmp_path / "own" / "fsd50k" / "FSD50K.dev_audio" / "1000.wav"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(IntegrityError, match=r"1000\.wav"):
        RELEASE.official(files(tmp_path / "own"), "clean")


def test_missing_clips_of_the_release_are_counted(release: Path, tmp_path: Path) -> None:
    """A part of the data is other data: refused, with how many and the first of them in the order of the lists."""
    shutil.copytree(release, tmp_path / "own")
    folder = tmp_path / "own" / "fsd50k"
    for clip in ("FSD50K.dev_audio/1003", "FSD50K.dev_audio/2001", "FSD50K.eval_audio/3000"):
        (folder / f"{clip}.wav").unlink()
    total = sum(len(clips) for clips in written.CLIPS.values())
    said = rf"dev\.csv' line \d+ names clip '(1003|2001)', and there is no 'FSD50K\.dev_audio/\1\.wav'; 3 of {total} clips are missing$"
    with pytest.raises(IntegrityError, match=said) as caught:
        RELEASE.official(files(tmp_path / "own"), "clean")
    assert caught.value.hint == "pare-bench data fetch fsd50k"
    assert "\n" not in str(caught.value)


def test_missing_chunks_are_counted(own: Path) -> None:
    missing = [name for name, _ in written.chunk_rows("val")][2:6]
    for name in missing:
        (own / "fsd50k" / "chunks" / "dev" / name).unlink()
    count = len(written.chunk_rows("tr")) + len(written.chunk_rows("val"))
    with pytest.raises(IntegrityError, match=rf"val\.csv' line 4 names '.*{missing[0]}', and there is no '.*'; 4 of {count} chunks are missing$"):
        Fsd50k().official(files(own), "clean")
