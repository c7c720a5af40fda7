"""Small FSD50K files in both published forms: NAS-Bench-360's one-second chunks with their lists, and the wav release. Noise for both."""

from __future__ import annotations

import csv
import json
import wave
from pathlib import Path

import numpy as np

RATE = 22_050
LABELS = [f"Sound_{number}" for number in range(200)]
#: Clips of each part, with the number of chunks each has; 40 training chunks, 12 and 13 others.
CLIPS = {
    "tr": {1000 + number: 1 + number % 3 for number in range(20)},
    "val": {2000 + number: 2 for number in range(6)},
    "eval": {3000 + number: 1 + number % 2 for number in range(9)},
}
NOISES = {"noise-free-0001": 30_000, "noise-free-0000": 22_050, "noise-sound-0002": 9_000}


def sound(name: str, count: int, seed: int = 0) -> np.ndarray:
    """``count`` int16 samples, a decaying tone in noise that only ``name`` and ``seed`` decide."""
    rng = np.random.default_rng([seed, *name.encode()])
    time = np.arange(count) / RATE
    tone = np.sin(2 * np.pi * rng.uniform(100, 6000) * time) * np.exp(-rng.uniform(0, 8) * (time % 1))
    return np.rint(8000 * tone + 300 * rng.standard_normal(count)).astype(np.int16)


def labels_of(clip: int, seed: int = 0) -> list[str]:
    """One to three labels of a clip, all of them among the first twelve so that each has positives."""
    rng = np.random.default_rng([seed, clip])
    return [LABELS[number] for number in rng.choice(12, rng.integers(1, 4), replace=False)]


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE, channels: int = 1) -> None:
    """Write int16 samples ``[n]`` or ``[n channels]``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())


def write_csv(path: Path, rows: list[list[object]]) -> None:
    """Write rows, the header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def chunk_rows(part: str, seed: int = 0) -> list[tuple[str, int]]:
    """Name and clip of each chunk in the order of the list, which for training is shuffled as published."""
    names = [(f"{clip}_{index:04d}.wav", clip) for clip, count in CLIPS[part].items() for index in range(count)]
    order = np.random.default_rng(seed).permutation(len(names)) if part == "tr" else np.arange(len(names))
    return [names[place] for place in order]


def folder_of(part: str) -> str:
    """Development clips share a folder."""
    return "chunks/eval" if part == "eval" else "chunks/dev"


def write_noise(root: Path, seed: int = 0) -> None:
    """Write ``fsd50k/noise_22050/*.wav``."""
    for name, count in NOISES.items():
        write_wav(root / "fsd50k" / "noise_22050" / f"{name}.wav", sound(name, count, seed))


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``fsd50k/chunks`` (lists, labels, chunks) and the noise; the last chunk of the last clip is shorter than a second."""
    base = root / "fsd50k"
    for part in CLIPS:
        rows = chunk_rows(part, seed)
        for name, _ in rows:
            write_wav(base / folder_of(part) / name, sound(name, 7000 if name == "3008_0000.wav" else RATE, seed))
        entries = [[f"data/{folder_of(part)}/{name}", ",".join(labels_of(clip, seed)), clip] for name, clip in rows]
        write_csv(base / "chunks" / f"{part}.csv", [["files", "labels", "ext"], *entries])
    (base / "chunks" / "lbl_map.json").write_text(json.dumps({label: number for number, label in enumerate(LABELS)}))
    write_noise(root, seed)


def length_of(clip: int) -> int:
    """Samples of a clip of the release at 44,100 Hz: short ones, whole seconds and odd ones."""
    return (15_001, 44_100, 44_101, 66_150, 70_007)[clip % 5]


def write_release(root: Path, *, seed: int = 0, rate: int = 44_100) -> None:
    """Write ``fsd50k/FSD50K.{dev_audio,eval_audio,ground_truth}`` and the noise."""
    base = root / "fsd50k"
    truth = base / "FSD50K.ground_truth"
    development: list[list[object]] = [["fname", "labels", "mids", "split"]]
    evaluation: list[list[object]] = [["fname", "labels", "mids"]]
    for part, clips in CLIPS.items():
        for clip in clips:
            folder = "FSD50K.eval_audio" if part == "eval" else "FSD50K.dev_audio"
            write_wav(base / folder / f"{clip}.wav", sound(str(clip), length_of(clip), seed), rate)
            row: list[object] = [clip, ",".join(labels_of(clip, seed)), "/m/0"]
            if part == "eval":
                evaluation.append(row)
            else:
                development.append([*row, {"tr": "train", "val": "val"}[part]])
    write_csv(truth / "dev.csv", development)
    write_csv(truth / "eval.csv", evaluation)
    write_csv(truth / "vocabulary.csv", [[number, label, f"/m/{number}"] for number, label in enumerate(LABELS)])
    write_noise(root, seed)
