"""Cosmic: which pixels of a telescope image were hit by cosmic rays."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench import metrics
from pare_bench.contracts.task import Field, InputShape, Metric, SimulatedTask, Split, TaskSize
from pare_bench.simulators import sky

SIZE = 128
UNIT_ELECTRONS = 100.0
MASK_SIGMAS = 3.0


def _scored(outputs: NDArray[np.floating], split: Split) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return logits and mask with both set to 0 on ignored pixels: as published, they count as correct negatives."""
    ignore = split.extras["ignore"]
    return np.where(ignore, 0.0, outputs), np.where(ignore, 0.0, split.targets)


class Cosmic(SimulatedTask):
    """One channel of 128 x 128 -> a mask of struck pixels; 1 - (TPR + TNR) / 2 of the mask at logit 0, then the false negative rate.

    The published task takes HST ACS/WFC exposures in F435W with masks from deepCR (Zhang and Bloom, ApJ 889, 2020). The twin's skies are
    half cut-outs of the Hubble Deep Field picture that scikit-image ships, from columns that belong to one split alone, half stars and
    galaxies; straight muons and curling electrons strike the detector, which adds bias, read and photon noise, hot pixels and bad columns (see
    ``pare_bench.simulators.sky``). A pixel is struck where more charge than 3 times the noise of its empty sky was deposited, about 2.5 % of them.

    As published: ``extras["ignore"]`` marks saturated and bad pixels, which give no gradient and count as correct negatives in both
    metrics; sky x U(-0.9, 3) is added to every image, in the test split as well; inputs are counts that nobody normalised. The unit differs: one
    input unit is 100 electrons (empty sky 0.02 to 2.8, a muon about 5, saturation at 328), a constant factor that keeps first layers in range.

    Left out: optics other than a Moffat, diffraction spikes, blooming, persistence, charge-transfer trails, nuclear fragments, and errors of the
    mask. The real picture is 8-bit, stretched and compressed: its light scale is invented, its noise adds to that of the exposure.
    Bytes depend on the JPEG decoder that scikit-image uses; decoders may differ in the last bit.

    Measured at size ``cpu`` (600 training images; test error, false negative rate): constant 0.5, 1.0; four convolutions (16 channels, kernels
    3, 3, dilated 3, 1, batch norm; random 64 x 64 crops, AdamW, one-cycle peak 5e-3, batch 16, 6 epochs, half a minute) 0.266, 0.529 (1 seed).
    The Bayes rate is not known; it is not 0, as charge just above 3 sigma and hot pixels that no dark frame has shown look alike.
    """

    name = "cosmic"
    version = 1
    inputs = InputShape(1, (SIZE, SIZE))
    target = Field((SIZE, SIZE), "mask")
    metrics = (
        Metric("mask_auroc_error", lambda outputs, split: metrics.mask_auroc_error(*_scored(outputs, split))),
        Metric("false_negative_rate", lambda outputs, split: metrics.false_negative_rate(*_scored(outputs, split))),
    )
    real = "half of the skies: cut-outs of the Hubble Deep Field picture that scikit-image ships"
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
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
