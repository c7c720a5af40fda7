"""The hooks: light, because ``pare-bench list`` imports them."""

from collections.abc import Iterator

from pare_bench import SuiteSpec, TaskSpec, hookimpl

#: Name, class and summary of each task; the order is that of the suite.
_TASKS = (
    ("ucr_arrow_head", "ArrowHead", "kind of an arrowhead by its outline, 3 classes (UCR ArrowHead)"),
    ("ucr_gun_point", "GunPoint", "a hand draws a gun or points, 2 classes (UCR GunPoint)"),
    ("ucr_italy_power_demand", "ItalyPowerDemand", "a day's power demand: winter or summer, 2 classes (UCR ItalyPowerDemand)"),
    ("ucr_osu_leaf", "OSULeaf", "species of a leaf by its outline, 6 classes (UCR OSULeaf)"),
    ("ucr_acsf1", "ACSF1", "home appliance by its power consumption, 10 classes (UCR ACSF1)"),
    ("ucr_pickup_gesture", "PickupGesture", "gesture by one acceleration, 10 classes, unequal lengths (UCR PickupGestureWiimoteZ)"),
    ("uea_basic_motions", "BasicMotions", "activity by a watch's six sensors, 4 classes (UEA BasicMotions)"),
    ("uea_japanese_vowels", "JapaneseVowels", "speaker by 12 cepstra, 9 classes, unequal lengths (UEA JapaneseVowels)"),
)


@hookimpl
def pare_bench_tasks() -> Iterator[TaskSpec]:
    """Register the eight data sets; they ship with a dependency, so they have one tier."""
    for name, kind, summary in _TASKS:
        yield TaskSpec(name=name, summary=summary, target=f"pare_bench_ucr.tasks:{kind}", modality="sequence", tiers=("bundled",))


@hookimpl
def pare_bench_suites() -> Iterator[SuiteSpec]:
    """Register suite ``ucr``."""
    yield SuiteSpec(
        name="ucr", summary="eight small real data sets of the UCR and UEA archives of time series", tasks=tuple(name for name, *_ in _TASKS)
    )
