"""DeepSEA: chromatin features from DNA sequence."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pare_bench import metrics
from pare_bench.contracts.task import InputShape, Labels, Metric, SimulatedTask, Split, TaskSize
from pare_bench.simulators import chromatin


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

    Measured at size ``cpu`` (600 training examples, test of 400, seed 0): constant 0.5; logistic regression on base and CpG content 0.333; one
    convolution (48 filters of width 12, batch norm; maximum and mean over the central bin, mean over all; dropout 0.3; AdamW, one-cycle peak
    5e-3, weight decay 0.02, batch 32, 40 epochs, reverse-complement augmentation, 17 s on one core) 0.195, 0.202, 0.218 (3 seeds); 128 filters 0.134;
    the Bayes scores, which are the probabilities the labels were drawn from, 0.034 (0.036 on 6,000 examples).
    """

    name = "deepsea"
    version = 1
    inputs = InputShape(4, (chromatin.LENGTH,))
    target = Labels(len(chromatin.FEATURES), positive_weight=4.0)
    metrics = (Metric("auroc_error", lambda outputs, split: metrics.auroc_error(outputs, split.targets)),)
    real = "36 JASPAR 2026 binding matrices (CC BY 4.0); sequences and labels are simulated"
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
    chunk = 48

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:  # noqa: ARG002 - the stream already tells splits apart
        """Return ``count`` loci and the labels drawn from their peak probabilities."""
        loci = chromatin.simulate_loci(count, rng)
        labels = rng.random((count, len(chromatin.FEATURES))) < chromatin.peak_probabilities(loci.bases)
        return Split(chromatin.one_hot(loci.bases), labels.astype(np.float32))
