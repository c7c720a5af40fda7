"""The 42 tables by OpenML id: what each is called, how large it is, and where it is had without OpenML. Light: read for every listing.

Counts of the bundled tables are checked whenever they are read; those of the others are public knowledge (OpenML-CC18, TabPFN's and LIFT's
lists), checked when the published file is read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One table.

    ``slots`` is the number of channels for categories, 0 for a table of numbers: the largest number of categories of a column where the table is
    bundled, an upper bound elsewhere (rarer categories have none). ``source`` says where a bundled table comes from: ``sklearn:NAME``, ``file:NAME``
    below ``pare_bench/data/tables``, ``rule:NAME``; "" for tables that OpenML alone has. ``nominal`` are the columns that are categories although
    their values look like numbers, by position among the features or by name: a CSV does not say so. ``extra`` marks the twelve tables that ORCA has
    beyond the thirty of TabPFN's list. ``rescaled`` and ``kept`` are special cases of the released loader: a second scaling, and the only columns
    that it keeps. ``epochs`` are those of preset ``cpu``: 190 to 480 steps, whatever the number of rows. ``version`` is the task's: it rises where a
    change can move a score.
    """

    id: int
    title: str
    rows: int
    features: int
    classes: int
    slots: int = 0
    source: str = ""
    nominal: tuple[int | str, ...] = ()
    extra: bool = False
    rescaled: bool = False
    kept: tuple[int, ...] = ()
    epochs: int = 10
    version: int = 1

    @property
    def name(self) -> str:
        """The task's name."""
        return f"openml_{self.id}"

    @property
    def summary(self) -> str:
        """One line for lists."""
        kind = "categories and numbers" if self.slots else "numbers"
        return f"{self.title}: table of {self.rows} rows, {self.features} features ({kind}), {self.classes} classes"


#: Channels for the categories of a table whose file was never seen here.
_MANY = 32
#: Categories of cylinder-bands that look like numbers.
_CYLINDER_BANDS = ("timestamp", "press", "plating_tank", "caliper", "current_density", "chrome_content")

CATALOGUE: tuple[Entry, ...] = (
    Entry(11, "balance-scale", 625, 4, 3, source="rule:balance_scale", epochs=40),
    Entry(14, "mfeat-fourier", 2000, 76, 10),
    Entry(15, "breast-w", 699, 9, 2),
    Entry(16, "mfeat-karhunen", 2000, 64, 10),
    Entry(18, "mfeat-morphological", 2000, 6, 10),
    Entry(22, "mfeat-zernike", 2000, 47, 10),
    Entry(23, "cmc", 1473, 9, 3, slots=4, source="file:contraceptive.csv.gz", nominal=(1, 2, 4, 5, 6, 7, 8), epochs=12),
    Entry(29, "credit-approval", 690, 15, 2, slots=_MANY),
    Entry(31, "credit-g", 1000, 20, 2, slots=10, source="file:german.csv.gz", epochs=10, version=2),
    Entry(37, "diabetes", 768, 8, 2, source="file:pima.csv.gz", epochs=15),
    Entry(50, "tic-tac-toe", 958, 9, 2, slots=3, source="rule:tic_tac_toe", epochs=25),
    Entry(54, "vehicle", 846, 18, 4, source="file:vehicle.csv.gz", rescaled=True, epochs=30),
    Entry(188, "eucalyptus", 736, 19, 5, slots=_MANY),
    Entry(458, "analcatdata_authorship", 841, 70, 4),
    Entry(469, "analcatdata_dmft", 797, 4, 6, slots=_MANY, nominal=("DMFT.Begin", "DMFT.End")),
    Entry(1049, "pc4", 1458, 37, 2),
    Entry(1050, "pc3", 1563, 37, 2),
    Entry(1063, "kc2", 522, 21, 2),
    Entry(1068, "pc1", 1109, 21, 2, rescaled=True),
    Entry(1462, "banknote-authentication", 1372, 4, 2),
    Entry(1464, "blood-transfusion-service-center", 748, 4, 2, kept=(0, 1, 3)),
    Entry(1480, "ilpd", 583, 10, 2, slots=4),
    Entry(1494, "qsar-biodeg", 1055, 41, 2, rescaled=True),
    Entry(1510, "wdbc", 569, 30, 2, source="sklearn:breast_cancer", epochs=40),
    Entry(6332, "cylinder-bands", 540, 37, 2, slots=_MANY, nominal=_CYLINDER_BANDS),
    Entry(23381, "dresses-sales", 500, 12, 2, slots=_MANY, version=2),
    Entry(40966, "MiceProtein", 1080, 77, 8),
    Entry(40975, "car", 1728, 6, 4, slots=4),
    Entry(40982, "steel-plates-fault", 1941, 27, 7),
    Entry(40994, "climate-model-simulation-crashes", 540, 18, 2),
    Entry(12, "mfeat-factors", 2000, 216, 10, extra=True, rescaled=True),
    Entry(28, "optdigits", 5620, 64, 10, source="file:optdigits.csv.gz", extra=True, epochs=3),
    Entry(44, "spambase", 4601, 57, 2, extra=True),
    Entry(48, "tae", 151, 5, 3, slots=2, source="file:tae.csv.gz", nominal=(0, 3), extra=True, epochs=100),
    Entry(61, "iris", 150, 4, 3, source="sklearn:iris", extra=True, epochs=100),
    Entry(187, "wine", 178, 13, 3, source="sklearn:wine", extra=True, epochs=80),
    Entry(882, "pollution", 60, 15, 2, extra=True),
    Entry(1479, "hill-valley", 1212, 100, 2, extra=True),
    Entry(1491, "one-hundred-plants-margin", 1600, 64, 100, extra=True),
    Entry(1493, "one-hundred-plants-texture", 1599, 64, 100, extra=True),
    Entry(1511, "wholesale-customers", 440, 8, 2, slots=4, extra=True),
    Entry(40496, "LED-display-domain-7digit", 500, 7, 10, source="file:led7digit.csv.gz", extra=True, epochs=40),
)
BY_ID: dict[int, Entry] = {entry.id: entry for entry in CATALOGUE}
