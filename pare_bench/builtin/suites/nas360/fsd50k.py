"""FSD50K: which sound events are heard in an audio clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pare_bench import metrics
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.params import Params as BaseParams
from pare_bench.contracts.task import SPLIT_NAMES, InputShape, Labels, Metric, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.errors import DataMissingError
from pare_bench.simulators import audio, mel

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

HOP = mel.CHUNK // 2
TEST_CHUNKS = 2

CHUNKS = OfficialFile(
    "audio.zip",
    urls=("https://pde-xd.s3.amazonaws.com/audio/audio.zip",),
    members=tuple(f"chunks/{name}" for name in ("tr.csv", "val.csv", "eval.csv", "lbl_map.json")),
)
#: The lists of the wav release, with the digest of a public loader. Its sound comes in split archives, which are to be joined and unpacked by hand.
GROUND_TRUTH = OfficialFile(
    "FSD50K.ground_truth.zip",
    urls=("https://zenodo.org/records/4060432/files/FSD50K.ground_truth.zip?download=1",),
    md5="ca27382c195e37d2269c4c866dd73485",
    members=tuple(f"FSD50K.ground_truth/{name}.csv" for name in ("dev", "eval", "vocabulary")),
    optional=True,
)


def clip_map_error(outputs: NDArray[np.floating], split: Split) -> float:
    """Return 1 - mean average precision over clips: the logits of a clip's chunks are averaged first, as published."""
    _, first, clip = np.unique(np.asarray(split.extras["groups"]), return_index=True, return_inverse=True)
    sums = np.zeros((len(first), outputs.shape[1]))
    np.add.at(sums, clip, np.asarray(outputs, dtype=np.float64))
    return metrics.map_error(sums / np.bincount(clip)[:, None], split.targets[first])


class Fsd50k(SimulatedTask):
    """A log-mel spectrogram of one second, 96 bands x 102 frames -> any of 200 labels; 1 - mean average precision over clips.

    The published task tags Freesound clips with 200 AudioSet labels (Fonseca et al., IEEE/ACM TASLP 30, 2022). The twin composes clips of 1.5 s
    from an event grammar in a room with background noise (see ``pare_bench.simulators.audio``) and computes the published features (see
    ``pare_bench.simulators.mel``): mel scale and filters are torchaudio's defaults ("HTK", no norm), values are decibels about the chunk's
    mean, standard deviation about 10. The labels are 8 families, 32 registers within them and 160 kinds of events; an event carries all
    three, as FSD50K's labels are closed upwards in the ontology. Kinds follow a Zipf law, a clip has one to four.

    Chunks last 1 s and start every 0.5 s. Training and validation take one chunk of each clip at random, the test both full ones; the
    partial last chunk, which the published code tiles, is left out. Labels belong to the clip: an event may lie outside the chunk. Test
    logits are averaged over a clip's chunks before anything else (the sigmoid, which follows, does not change a ranking). Labels without a
    positive test clip have no average precision and are left out. A split may end within a clip.

    Official tier, from 16-bit wav files, features computed when asked for (about 1 ms a chunk and core): with ``source=chunks`` the chunk files and
    lists of NAS-Bench-360 (``chunks/{tr,val,eval}.csv``, paths without their first four characters); with ``source=release`` chunks cut from the
    wav release of FSD50K (Zenodo 4060432: ``FSD50K.dev_audio``, ``FSD50K.eval_audio``, ``FSD50K.ground_truth``) by the published rule, which tiles
    partial last chunks and short clips. There the sound is brought to 22,050 Hz by scipy's polyphase filter instead of ffmpeg's, so that samples are
    near the published ones and not equal, and a clip's length may differ by a sample. The parameter stands in every record.
    Clean track: every chunk of a training clip is an example (NAS-Bench-360 draws one for each clip and epoch, so long clips weigh more here),
    without its augmentation; validation and test take all chunks, averaged per clip; parts as published (about 37,000 / 4,000 / 10,000 clips).
    Paper track: as released, the training set is frozen before training, one random chunk of each clip with one random augmentation (masks and
    background noise in the decibel domain, see ``fsd50k_augmentation``; ``noise_22050`` is needed); validation clips are not merged into it; the
    test clips validate. The released metric is per clip over the whole test set, not chunked.

    Left out of the twin: the published training augmentation in the decibel domain (masked bands and background noise, frozen before training), label
    noise, clips of different length, recordings of one uploader.

    Measured at size ``cpu`` (600 training chunks, 200 test clips): constant 0.955; a small 2-D convolution network (16 channels 5x5 stride
    2, 32 and 64 channels 3x3, each with batch norm and pooling by 2, mean over time in 6 bands, dropout 0.3, linear; positive weight
    10, AdamW, one-cycle peak 5e-3, batch 32, 20 epochs, 35 s) 0.663, 0.650 (2 seeds). The Bayes rate is not known.
    """

    class Params(BaseParams):
        """Where the official tier comes from."""

        source: Literal["chunks", "release"] = Field(
            "chunks", description="official tier: the published one-second chunks, or the wav release, cut by us"
        )

    name = "fsd50k"
    version = 2
    streams = 1
    inputs = InputShape(1, (mel.BANDS, mel.COLUMNS))
    target = Labels(audio.LABELS, positive_weight=10.0)
    metrics = (Metric("map_error", clip_map_error),)
    real = None
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 400, 2000)}
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 12}}
    released_configurations: ClassVar = {"pare": "FSD", "orca": "FSD"}
    chunk = 48
    official_files = (CHUNKS, GROUND_TRUTH)
    params: Params

    def official(self, files: Files, track: Track) -> Splits:
        """List chunks and clips; sound is read and turned into features when it is asked for."""
        # Imported here: listing tasks does not need thread pools and wav files.
        from pare_bench.builtin.suites.nas360 import fsd50k_files

        if self.params.source == "release":
            train, val, test = fsd50k_files.released_clips(files)
        else:
            if not files.find("chunks/tr.csv", "audio/chunks/tr.csv") and files.find("FSD50K.ground_truth/dev.csv"):
                raise DataMissingError(
                    f"task 'fsd50k' needs official file 'chunks/tr.csv', not found below '{files.root / self.name}'; the wav release is there",
                    hint="cut the release into chunks with -o task.source=release",
                )
            train, val, test = fsd50k_files.published_chunks(files)
        if track == "clean":
            return Splits(train.split(), val.split(), test.split())
        frozen = train.frozen(fsd50k_files.noises(files), self.name, self.streams or self.version, "frozen training example")
        return self.in_track(Splits(frozen, val.split(), test.split()), track)

    def in_track(self, splits: Splits, track: Track) -> Splits:
        """Return ``splits`` as ``track`` uses them: the released code does not merge the validation clips into the training set."""
        return splits if track == "clean" else Splits(splits.train, splits.test, splits.test)

    def released_metrics(self, batch_size: int) -> tuple[Metric, ...]:  # noqa: ARG002 - the released metric knows no batches
        """Return the metrics unchanged: the released code, too, scores clips over the whole set."""
        return self.metrics

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return ``count`` chunks of new clips (``extras["groups"]``): in test the first two chunks of each clip, else one of them at random."""
        per_clip = TEST_CHUNKS if split == "test" else 1
        clips = -(-count // per_clip)
        inputs, targets = [], []
        for _ in range(clips):
            sound, kinds = audio.draw_clip(rng)
            starts = [HOP * place for place in (range(TEST_CHUNKS) if per_clip > 1 else rng.integers(TEST_CHUNKS, size=1))]
            inputs += [mel.features(sound[start : start + mel.CHUNK]) for start in starts]
            targets += [audio.labels_of(kinds)] * per_clip
        first = SPLIT_NAMES.index(split) * 10**9 + index * clips
        groups = first + np.repeat(np.arange(clips, dtype=np.int64), per_clip)
        return Split(np.array(inputs)[:count, None], np.array(targets)[:count], {"groups": groups[:count]})
