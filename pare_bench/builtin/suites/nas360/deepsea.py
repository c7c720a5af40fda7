"""DeepSEA: chromatin features from DNA sequence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pare_bench import metrics
from pare_bench.builtin.suites.nas360 import deepsea_files
from pare_bench.contracts.examples import mapped
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import SPLIT_NAMES, InputShape, Labels, Metric, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.scoring.tracks import chunked
from pare_bench.simulators import chromatin

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files


class Deepsea(SimulatedTask):
    """One-hot DNA, 4 x 1000 (A, C, G, T) -> 36 chromatin features of the central 200 base pairs; 1 - mean AUROC over the labels.

    The published task (Zhou and Troyanskaya, Nature Methods 12, 2015; 36 features in NAS-Bench-360) asks which transcription factors bind,
    and which chromatin is open, in a human sequence. The twin draws sequences of four regulatory states whose GC and CpG content differ, plants
    sites of 36 real JASPAR matrices as grammars (copies of one motif on either strand, or two factors in fixed order and spacing), adds
    decoys outside the central bin, and draws the labels from the thermodynamic occupancy of the final sequence (see
    ``pare_bench.simulators.chromatin``). One feature per matrix; 10 % of peaks are missed, false peaks are 5 % of a feature's rate;
    2 % to 14 % of examples are positive, features of one state and of related motifs (MYC, MAX, USF) occur together, as in cells.

    Left out: nucleosomes, methylation as a signal of its own, cell types, histone marks with their broad domains, binding without a motif,
    evolutionary relations between loci. Inputs are exactly one 1 per position; there is no unknown base.

    **Official tier.** ``deepsea_filtered.npz``: one-hot sequences, transposed to 4 x 1000 float32, and 0/1 labels. An unknown base is a position
    without any 1.

    - ``clean``: the file's own training, validation and test parts (71,753 / 2,490 / 149,400).
    - ``paper``: training and validation part together, validation = test, as ORCA and PaRe do. The metric is the mean over chunks of at least
      1000 shuffled examples (1008 at the released batch size of 16) of the mean AUROC over the labels that have both a positive and a negative
      example in the chunk. Deviations: the shuffle is fixed (released: drawn anew at every evaluation); logits are ranked, not their
      sigmoid, which differs only where float32 sigmoids are equal.

    Metrics and targets are those of the twin. The features are the file's, in its order, and not the twin's 36 matrices.

    Measured at size ``cpu`` (600 training examples, test of 400, seed 0): constant 0.5; logistic regression on base and CpG content 0.333; one
    convolution (48 filters of width 12, batch norm; maximum and mean over the central bin, mean over all; dropout 0.3; AdamW, one-cycle peak
    5e-3, weight decay 0.02, batch 32, 40 epochs, reverse-complement augmentation, 17 s on one core) 0.195, 0.202, 0.218 (3 seeds); 128 filters 0.134;
    the Bayes scores, which are the probabilities the labels were drawn from, 0.034 (0.036 on 6,000 examples).
    """

    name = "deepsea"
    version = 2
    streams = 1
    inputs = InputShape(4, (chromatin.LENGTH,))
    target = Labels(len(chromatin.FEATURES), positive_weight=4.0)
    metrics = (Metric("auroc_error", lambda outputs, split: metrics.auroc_error(outputs, split.targets)),)
    real = "36 JASPAR 2026 binding matrices (CC BY 4.0); sequences and labels are simulated"
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 400, 2000)}
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 14}}
    released_configurations: ClassVar = {"pare": "DEEPSEA", "orca": "DEEPSEA"}
    chunk = 48
    official_files = (OfficialFile("deepsea_filtered.npz", ("https://pde-xd.s3.amazonaws.com/deepsea/deepsea_filtered.npz",)),)

    def official(self, files: Files, track: Track) -> Splits:
        """Read the published parts (see the class); sequences stay on disk until asked for.

        Raises:
            DataMissingError: the file is not there.
            IntegrityError: the file is not what its format promises.
        """
        arrays = files.converted(self.official_files[0].path, f"{deepsea_files.__name__}:convert")
        shape = (self.inputs.channels, *self.inputs.grid)
        train, val, test = (
            Split(
                mapped(arrays[f"x_{part}"], lambda bases: bases.transpose(0, 2, 1), shape, np.float32),
                np.array(arrays[f"y_{part}"], np.float32),
            )
            for part in SPLIT_NAMES
        )
        return self.in_track(Splits(train, val, test), track)

    def released_metrics(self, batch_size: int) -> tuple[Metric, ...]:
        """Return AUROC of chunks of shuffled examples, as released."""
        metric = self.metrics[0]
        return (Metric(metric.name, chunked(metric.compute, batch_size, shuffled=self.name)),)

    def generated_files(self) -> tuple[Path, ...]:
        """Return the bundled file that the simulator starts from."""
        return (chromatin.LIBRARY,)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002 - the stream already tells splits apart
        """Return ``count`` loci and the labels drawn from their peak probabilities."""
        loci = chromatin.simulate_loci(count, rng)
        labels = rng.random((count, len(chromatin.FEATURES))) < chromatin.peak_probabilities(loci.bases)
        return Split(chromatin.one_hot(loci.bases), labels.astype(np.float32))
