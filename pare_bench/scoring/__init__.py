"""Outputs to scores.

Read :mod:`~pare_bench.scoring.scores`, then ``floor`` (trivial predictors), ``tracks`` and ``released_metrics`` (what the released code computes).
"""
