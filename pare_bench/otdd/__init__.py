"""Optimal-transport data-set distance, importable from outside as ``pare_bench.otdd.OTDD``.

Read ``distance`` (the distance), ``labels`` (distances between two labels), ``transport`` (the solvers).
"""

from pare_bench.otdd.distance import OTDD

__all__ = ["OTDD"]
