"""PSICOV: distances between the residues of a protein."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pare_bench import metrics
from pare_bench.builtin.suites.nas360.psicov_files import Proteins
from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.params import Params as BaseParams
from pare_bench.contracts.task import SPLIT_NAMES, InputShape, Metric, PairMap, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.errors import IntegrityError
from pare_bench.scoring.released_metrics import mae_8_released
from pare_bench.seeds import stream
from pare_bench.simulators import protein

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

PADDING = 10
OUTSIDE_ANGSTROM = 100.0
LONG_RANGE_RESIDUES = 24
MIN_LONG_RANGE_CONTACTS = 5
MIN_RESIDUES, MAX_SIMULATED_RESIDUES = 60, 400
OFFICIAL_TRAIN, OFFICIAL_VAL = 3456, 100
#: The released configuration has no counts of tokens, so Cosmic's are used: 500 -> 0 of 3136.
_SMALL = {"mixer.begin": 500 / 3136, "mixer.end": 0.0, "recipe.batch_size": 4, "recipe.learning_rate": 1e-3}
#: A contact is a pixel: patches of 5 x 5 instead of 10 x 10, and one map a step, of which there are few.
_CPU = {**_SMALL, "backbone.image_size": 112, "recipe.batch_size": 1, "budget.epochs": 6}


class Psicov(SimulatedTask):
    """57 features of all residue pairs, 128 x 128 -> C-beta distances in angstrom; MAE_8 of long-range contacts.

    The published task trains on 3,456 DeepCov proteins and tests on the 150 of PSICOV (Adhikari, Sci. Rep. 10, 2020; Jones et al., Bioinformatics
    28, 2012) on a canvas of 512 x 512. Here distances are those of 94 real chains, each family in one split, cut to windows of at most 118
    residues on the canvas of 128 (whole chains on 512); 84 windows train, 11 validate, 24 test, and simulated chains of helices, strands and loops
    fill up what a size asks beyond that. Real examples come first. The 57 channels, in the published order, are drawn from the structure with
    the errors of a sequence pipeline, which depend on the depth of an imaginary alignment (see ``pare_bench.simulators.protein``).

    As published: distances below 1 become 1, the diagonal the mean of its neighbours; 5 padded pixels on each side (inputs 0, targets 100),
    top-left on the canvas; training targets are capped at 16 by the loss, test targets untouched. The score is the mean over proteins of
    |error| over pairs 24 or more residues apart in sequence and at most 8 angstrom in space. Each protein here has at least five such pairs; one
    without any would be left out by the metric. Inputs are float16 to halve the memory (1.9 MB each).

    The official tier reads the published files, which are converted once and turned into maps when they are asked for (an example of 512 x 512
    takes 60 MB as float32), and lays them out in the same way. ``clean``: the first 100 DeepCov proteins validate, the other 3,356 train, the 150 of
    PSICOV test (a shorter list validates with the same share of it, at least one). ``paper``: all 3,456 train and the 150 validate; the score is the
    released one (:func:`~pare_bench.scoring.released_metrics.mae_8_released`: the first protein's length for all, triangles weighted 3 to
    1), over proteins one by one. ORCA and PaRe use the canvas of 512, which is that of preset ``paper``.
    Deviations: a protein longer than the canvas less its padding is cut to a window along the diagonal, from a place drawn once for its name,
    with padding around it; the released code draws rows and columns apart and cuts the padding, too, which no protein of up to 502 residues meets
    at 512. On 128, NAS-Bench-360 draws a new window at each epoch and slides one over test proteins; here a protein has one window.

    Left out: real alignments, so couplings are independent given the contacts; oligomer contacts, membranes, side chains. Simulated chains have
    no hydrogen-bonded sheets beyond a preference, and a few clashes. Homologues are found by shared words of three residues, which misses
    relatives below about 30 % identity. Most real chains come from one ribosome, whose proteins have unusual tails.

    Measured at size ``cpu`` (120 training maps, test of 60): mean training map capped at 16 (what a predictor that sees no input learns from
    the loss) 8.73; a constant 7, chosen for this metric alone, 1.00, as any number near 6.5 lies within about an angstrom of the distances scored.
    A dilated convolution network (1 x 1 to 16 channels, five residual 3 x 3 blocks with dilations 1, 2, 4, 8, 1, batch norm, symmetrised; mean
    square error, AdamW, one-cycle peak 1e-2, batch 4, 6 epochs, about a minute) 5.45, 5.13, 5.33 (3 seeds). The Bayes rate is not known.
    """

    class Params(BaseParams):
        """``canvas``: side of the square map; 512 as published, 128 (longer proteins cut to windows) to fit small machines."""

        canvas: Literal[128, 512] = 128

    name = "psicov"
    version = 2
    streams = 1
    inputs = InputShape(protein.CHANNELS, (128, 128))
    target = PairMap(size=128, padding=PADDING, clip=16.0)
    official_files = (
        OfficialFile("protein.zip", ("https://pde-xd.s3.amazonaws.com/protein.zip",), members=("deepcov.lst", "psicov.lst", "deepcov", "psicov")),
    )
    metrics = (Metric("mae_8", lambda outputs, split: metrics.mae_8(outputs, split.targets, split.extras["lengths"], padding=PADDING)),)
    real = "distances of 94 wwPDB chains, split by family (CC0); features and the chains that fill up a larger size are simulated"
    # At 512 an example takes 30 MB: the paper size is the real chains alone.
    sizes: ClassVar = {"smoke": TaskSize(24, 8, 16), "cpu": TaskSize(120, 30, 60), "paper": TaskSize(57, 11, 21)}
    preset_settings: ClassVar = {"cpu": _CPU, "smoke": _SMALL}
    released_configurations: ClassVar = {"pare": "PSICOV", "orca": "PSICOV"}
    preset_params: ClassVar = {"paper": {"canvas": 512}}
    chunk = 8

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self.canvas: int = self.params.canvas  # type: ignore[attr-defined]
        if self.canvas != self.target.size:
            self.inputs = InputShape(protein.CHANNELS, (self.canvas, self.canvas))
            self.target = PairMap(size=self.canvas, padding=PADDING, clip=16.0)  # type: ignore[misc]

    def generated_files(self) -> tuple[Path, ...]:
        """Return the bundled file that the simulator starts from."""
        return (protein.CHAINS,)

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return ``count`` proteins, top-left on the canvas with 5 padded pixels before and after; example number decides which real chain."""
        inputs = np.zeros((count, protein.CHANNELS, self.canvas, self.canvas), np.float16)
        targets = np.full((count, self.canvas, self.canvas), OUTSIDE_ANGSTROM, np.float32)
        lengths = np.zeros(count, np.int64)
        for row in range(count):
            chain = self._chain(split, index * count + row, rng)
            inside = slice(PADDING // 2, PADDING // 2 + len(chain))
            inputs[row, :, inside, inside] = protein.channels(protein.simulate_features(chain, rng))
            targets[row, inside, inside] = protein.clean_distances(chain.distances())
            lengths[row] = len(chain)
        return Split(inputs, targets, {"lengths": lengths})

    def official(self, files: Files, track: Track) -> Splits:
        """Return the published proteins; inputs (float32) and targets are computed when they are asked for.

        Raises:
            DataMissingError: a list, or a file that it names, is not there.
            IntegrityError: a file is not as published, or fewer than two proteins train.
        """
        deepcov, psicov = Proteins(files, "deepcov"), Proteins(files, "psicov")
        if len(deepcov) < 2:
            raise IntegrityError(f"'deepcov.lst' names {len(deepcov)} protein, needed are 2", hint="pare-bench data verify psicov")
        count = max(1, round(len(deepcov) * OFFICIAL_VAL / OFFICIAL_TRAIN))
        val, train = (self._examples(deepcov, indices) for indices in np.split(np.arange(len(deepcov)), [count]))
        test = self._examples(psicov, np.arange(len(psicov)))
        if track == "paper":
            # In the order of the list, as the released loader has it.
            return Splits(self._examples(deepcov, np.arange(len(deepcov))), test, test)
        return Splits(train, val, test)

    def _examples(self, proteins: Proteins, chosen: NDArray[np.integer]) -> Split:
        limit = self.canvas - PADDING
        lengths = np.minimum(proteins.lengths[chosen], limit)

        def inside(row: int) -> slice:
            return slice(PADDING // 2, PADDING // 2 + int(lengths[row]))

        def inputs(rows: NDArray[np.integer]) -> NDArray[np.float32]:
            result = np.zeros((len(rows), protein.CHANNELS, self.canvas, self.canvas), np.float32)
            for place, row in zip(result, rows.tolist(), strict=True):
                place[:, inside(row), inside(row)] = proteins[int(chosen[row])].window(limit).channels()
            return result

        def targets(rows: NDArray[np.integer]) -> NDArray[np.float32]:
            result = np.full((len(rows), self.canvas, self.canvas), OUTSIDE_ANGSTROM, np.float32)
            for place, row in zip(result, rows.tolist(), strict=True):
                place[inside(row), inside(row)] = proteins[int(chosen[row])].window(limit).distances()
            return result

        count = len(chosen)
        return Split(
            LazyExamples((count, protein.CHANNELS, self.canvas, self.canvas), np.float32, inputs),
            LazyExamples((count, self.canvas, self.canvas), np.float32, targets),
            {"lengths": lengths},
        )

    def released_metrics(self, batch_size: int) -> tuple[Metric, ...]:  # noqa: ARG002 - the released test loader has batches of one protein
        """Return the released MAE_8, whose chunks are single proteins whatever the batch size."""

        def compute(outputs: NDArray[np.floating], split: Split) -> float:
            return mae_8_released(outputs, np.asarray(split.targets), np.asarray(split.extras["lengths"]), PADDING)

        return (Metric("mae_8", compute),)

    def _chain(self, split: str, number: int, rng: np.random.Generator) -> protein.Chain:
        """Return real window ``number`` of ``split``, or a simulated chain once the real ones are used up."""
        limit = self.canvas - PADDING
        places = real_windows(limit)[split]
        if number < len(places):
            return protein.real_chains()[places[number][0]].window(places[number][1], limit)
        while True:
            size = int(rng.integers(MIN_RESIDUES, min(limit, MAX_SIMULATED_RESIDUES) + 1))
            chain = protein.simulate_chain(size, rng)
            if long_range_contacts(chain) >= MIN_LONG_RANGE_CONTACTS:
                return chain


def long_range_contacts(chain: protein.Chain) -> int:
    """Return the number of pairs that MAE_8 scores: at least 24 residues apart in sequence, at most 8 angstrom in space."""
    return int(np.sum(np.triu(chain.distances() <= protein.CONTACT, LONG_RANGE_RESIDUES)))


@cache
def real_windows(limit: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return (chain, first residue) of the real examples of each split, for chains cut to ``limit`` residues.

    Families with several members train; of the others every seventh validates and every third tests, in an order drawn once. A chain longer
    than ``limit`` gives as many windows as fit side by side. Windows with fewer than five scored pairs are left out.
    """
    chains = protein.real_chains()
    families = [chain.family for chain in chains]
    single = [family for family in sorted(set(families)) if families.count(family) == 1]
    order = [single[place] for place in stream("psicov", "families", 1).permutation(len(single))]
    owner = dict.fromkeys(families, "train")
    owner.update({family: "val" if rank % 7 == 0 else "test" if rank % 3 == 1 else "train" for rank, family in enumerate(order)})
    windows: dict[str, list[tuple[int, int]]] = {split: [] for split in SPLIT_NAMES}
    for index, chain in enumerate(chains):
        pieces = max(1, len(chain) // limit)
        starts = [0] if pieces == 1 else np.linspace(0, len(chain) - limit, pieces).astype(int).tolist()
        usable = [start for start in starts if long_range_contacts(chain.window(start, limit)) >= MIN_LONG_RANGE_CONTACTS]
        windows[owner[chain.family]] += [(index, start) for start in usable]
    mixed = {split: stream("psicov", "windows", 1, split, limit).permutation(len(found)) for split, found in windows.items()}
    return {split: tuple(windows[split][place] for place in order_of) for split, order_of in mixed.items()}
