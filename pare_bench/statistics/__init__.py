"""The statistics behind a table of runs: small, exact where samples are small, and silent where a design can show nothing.

Everything takes plain numbers. numpy and scipy are loaded only by what needs them.
"""

from pare_bench.statistics.bayes import Posterior, bayesian_signed_rank, dirichlet_weights
from pare_bench.statistics.bootstrap import bootstrap_interval, interquartile_mean, num_resamples
from pare_bench.statistics.effects import (
    POWER,
    Effect,
    detectable,
    effect_over_tasks,
    power_of,
    seeds_that_do,
    smallest_seen,
    tasks_that_do,
    with_design,
)
from pare_bench.statistics.estimates import around, half_width, mean, paired_differences, paired_t_p, sample_sd, t_interval, welch_half_width
from pare_bench.statistics.friedman import Friedman, friedman, nemenyi_difference, nemenyi_p, range_exceedance
from pare_bench.statistics.groups import letters, nemenyi_groups, tie_groups
from pare_bench.statistics.pairs import fewest_wins, holm, holm_factor, sign_test_p, signed_rank_p, signed_ranks, smallest_possible_p
from pare_bench.statistics.profiles import LARGEST_FACTOR, cost_ratios, profile_area, profile_steps, share_within
from pare_bench.statistics.rank_intervals import rank_intervals
from pare_bench.statistics.ranks import Direction, WinsTiesLosses, mean_ranks, shared_ranks, wins_ties_losses
from pare_bench.statistics.seeds import VERDICT_SEEDS, SeedDifference, sampling_error, seed_difference, with_sampling
from pare_bench.statistics.ties import bounded, difference, same

__all__ = [
    "LARGEST_FACTOR",
    "POWER",
    "VERDICT_SEEDS",
    "Direction",
    "Effect",
    "Friedman",
    "Posterior",
    "SeedDifference",
    "WinsTiesLosses",
    "around",
    "bayesian_signed_rank",
    "bootstrap_interval",
    "bounded",
    "cost_ratios",
    "detectable",
    "difference",
    "dirichlet_weights",
    "effect_over_tasks",
    "fewest_wins",
    "friedman",
    "half_width",
    "holm",
    "holm_factor",
    "interquartile_mean",
    "letters",
    "mean",
    "mean_ranks",
    "nemenyi_difference",
    "nemenyi_groups",
    "nemenyi_p",
    "num_resamples",
    "paired_differences",
    "paired_t_p",
    "power_of",
    "profile_area",
    "profile_steps",
    "range_exceedance",
    "rank_intervals",
    "same",
    "sample_sd",
    "sampling_error",
    "seed_difference",
    "seeds_that_do",
    "share_within",
    "shared_ranks",
    "sign_test_p",
    "signed_rank_p",
    "signed_ranks",
    "smallest_possible_p",
    "smallest_seen",
    "t_interval",
    "tasks_that_do",
    "tie_groups",
    "welch_half_width",
    "wins_ties_losses",
    "with_design",
    "with_sampling",
]
