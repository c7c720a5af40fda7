"""Cosmic: which pixels of a telescope image were hit by cosmic rays."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench import metrics
from pare_bench.builtin.suites.nas360 import cosmic_files
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Field, InputShape, Metric, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.errors import IntegrityError
from pare_bench.seeds import stream
from pare_bench.simulators import sky

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

SIZE = 128
UNIT_ELECTRONS = 100.0
MASK_SIGMAS = 3.0
#: Least and largest multiple of the sky level that is added.
SKY_SHARE = (-0.9, 3.0)
#: Examples that the published selection has.
OFFICIAL_COUNTS = {"train": 4830, "test": 420}
ARCHIVE = "deepCR.ACS-WFC.{part}.tar"
#: Published: 500 -> 0 of 3136 tokens.
_SMALL = {"mixer.begin": 500 / 3136, "mixer.end": 0.0, "recipe.learning_rate": 2e-3}
#: Patches of 5 x 5 pixels instead of 10 x 10, whose 64 numbers hold no track of one pixel. Small batches: one pixel in forty is struck, and it
#: takes some hundred steps until a first logit is positive.
_CPU = {**_SMALL, "backbone.image_size": 112, "recipe.batch_size": 2, "budget.epochs": 3}


def _scored(outputs: NDArray[np.floating], split: Split) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return logits and mask with both set to 0 on ignored pixels: as published, they count as correct negatives."""
    ignore = np.asarray(split.extras["ignore"])
    return np.where(ignore, 0.0, outputs), np.where(ignore, 0.0, np.asarray(split.targets))


class Cosmic(SimulatedTask):
    """One channel of 128 x 128 -> a mask of struck pixels; 1 - (TPR + TNR) / 2 of the mask at logit 0, then the false negative rate.

    The published task takes HST ACS/WFC exposures in F435W with masks from deepCR (Zhang and Bloom, ApJ 889, 2020). The twin's skies are
    half cut-outs of the Hubble Deep Field picture that scikit-image ships, from columns that belong to one split alone, half stars and
    galaxies; straight muons and curling electrons strike the detector, which adds bias, read and photon noise, hot pixels and bad columns (see
    ``pare_bench.simulators.sky``). A pixel is struck where more charge than 3 times the noise of its empty sky was deposited, about 2.5 % of them.

    As published: ``extras["ignore"]`` marks saturated and bad pixels, which give no gradient and count as correct negatives in both
    metrics; sky x U(-0.9, 3) is added to every image, in the test split as well; inputs are counts that nobody normalised. The unit differs: one
    input unit is 100 electrons (empty sky 0.02 to 2.8, a muon about 5, saturation at 328), a constant factor that keeps first layers in range.

    The official tier reads the published cut-outs (rows and columns 64 to 191 of each file): filter F435W, visits with a resolved galaxy, by the
    released ``train_dirs.npy`` and ``test_dirs.npy`` where they are, else by the released table of visits; 4,830 train and 420 test files are
    published, other counts are warned of. Files are taken in the order of their paths, as the released order is that of the authors' disk.

    ``clean``: the last tenth of the training files validates (4,347 and 483, the published counts; which 483 is published nowhere; a visit at the
    border has files on both sides), counts are divided by 100 as in the twin, and sky x U(-0.9, 3) is drawn anew for each training batch but not
    added to validation and test images. ``paper``: all 4,830 train, the test files validate, counts are raw, and the sky is added to the test images,
    too, once for all instead of anew at each evaluation, so that a score can be repeated. Both metrics are as above; the released code
    reports the first.

    Left out: optics other than a Moffat, diffraction spikes, blooming, persistence, charge-transfer trails, nuclear fragments, and errors of the
    mask. The real picture is 8-bit, stretched and compressed: its light scale is invented, its noise adds to that of the exposure.
    Bytes depend on the JPEG decoder that scikit-image uses; decoders may differ in the last bit.

    Measured at size ``cpu`` (600 training images; test error, false negative rate): constant 0.5, 1.0; four convolutions (16 channels, kernels
    3, 3, dilated 3, 1, batch norm; random 64 x 64 crops, AdamW, one-cycle peak 5e-3, batch 16, 6 epochs, half a minute) 0.266, 0.529 (1 seed).
    The Bayes rate is not known; it is not 0, as charge just above 3 sigma and hot pixels that no dark frame has shown look alike.
    """

    name = "cosmic"
    version = 2
    streams = 1
    inputs = InputShape(1, (SIZE, SIZE))
    target = Field((SIZE, SIZE), "mask")
    official_files = (
        *(
            OfficialFile(path, (f"https://pde-xd.s3.amazonaws.com/cosmic/{path}",), members=(f"npy_{part}",))
            for part, path in ((part, ARCHIVE.format(part=part)) for part in OFFICIAL_COUNTS)
        ),
        *(OfficialFile(f"{part}_dirs.npy", optional=True) for part in OFFICIAL_COUNTS),
    )
    metrics = (
        Metric("mask_auroc_error", lambda outputs, split: metrics.mask_auroc_error(*_scored(outputs, split))),
        Metric("false_negative_rate", lambda outputs, split: metrics.false_negative_rate(*_scored(outputs, split))),
    )
    real = "half of the skies: cut-outs of the Hubble Deep Field picture that scikit-image ships"
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
    preset_settings: ClassVar = {"cpu": _CPU, "smoke": {**_SMALL, "recipe.batch_size": 8}}
    released_configurations: ClassVar = {"pare": "COSMIC", "orca": "COSMIC"}
    chunk = 48

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002
        """Return ``count`` exposures; every second sky is real, from columns of the picture that belong to ``split`` alone."""
        light = np.empty((count, SIZE, SIZE), dtype=np.float32)
        light[::2] = sky.hubble_cutouts(len(light[::2]), SIZE, sky.HUBBLE_COLUMNS[split], rng)
        light[1::2] = sky.simulated_sky(len(light[1::2]), SIZE, rng)
        exposures = sky.expose(light, rng)
        noise = np.sqrt(exposures.sky + sky.READ_NOISE**2)[:, None, None]
        mask = exposures.charge > MASK_SIGMAS * noise
        # The published randomisation of the sky level: a constant, without the photon noise that a brighter sky would have.
        images = exposures.images + (exposures.sky * rng.uniform(-0.9, 3.0, count).astype(np.float32))[:, None, None]
        return Split((images / np.float32(UNIT_ELECTRONS))[:, None], mask.astype(np.float32), {"ignore": exposures.ignore})

    def official(self, files: Files, track: Track) -> Splits:
        """Return the published cut-outs; training examples have ``extras["sky"]`` float32 ``[n]``, the sky level in the unit of the inputs.

        Raises:
            DataMissingError: a folder or a listed file is not there.
            IntegrityError: a file is not as published, or there are fewer than two training files.
        """
        unit = UNIT_ELECTRONS if track == "clean" else 1.0
        parts = {part: cosmic_files.read(files, part) for part in OFFICIAL_COUNTS}
        for part, expected in OFFICIAL_COUNTS.items():
            if len(parts[part].images) != expected:
                warnings.warn(f"cosmic has {len(parts[part].images)} {part} files, published are {expected}", RuntimeWarning, stacklevel=2)
        train, test = (_examples(parts[part], unit) for part in ("train", "test"))
        if track == "paper":
            share = stream("cosmic", "released sky of the test files").uniform(*SKY_SHARE, len(test))
            test = _without_sky(dataclasses.replace(test, inputs=_brighter(test, share)))
            return Splits(train, test, test)
        kept = len(train) - max(1, len(train) // 10)
        if kept < 1:
            raise IntegrityError(f"cosmic has {len(train)} training files, needed are 2", hint="pare-bench data verify cosmic")
        val = train.take(np.arange(kept, len(train)))
        return Splits(train.take(np.arange(kept)), _without_sky(val), _without_sky(test))

    def augment_examples(self, split: Split, rng: np.random.Generator) -> Split:
        """Return a training batch with sky x U(-0.9, 3) added where the sky level is known (official tier); the twin has it added already."""
        if "sky" not in split.extras:
            return split
        return dataclasses.replace(split, inputs=_brighter(split, rng.uniform(*SKY_SHARE, len(split))))


def _examples(exposures: cosmic_files.Exposures, unit: float) -> Split:
    images = (exposures.images / np.float32(unit))[:, None]
    return Split(images, exposures.mask, {"ignore": exposures.ignore, "sky": exposures.sky / np.float32(unit)})


def _brighter(split: Split, share: NDArray[np.floating]) -> NDArray[np.float32]:
    added = np.asarray(split.extras["sky"], dtype=np.float64) * share
    return np.asarray(np.asarray(split.inputs) + added[:, None, None, None], dtype=np.float32)


def _without_sky(split: Split) -> Split:
    return dataclasses.replace(split, extras={"ignore": split.extras["ignore"]})
