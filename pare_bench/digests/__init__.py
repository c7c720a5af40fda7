"""The code behind a name: where its source stands, what it imports, which distribution it belongs to; digests of all that.

Below everything else, for cached data and records are keyed by code, too. Read :mod:`~pare_bench.digests.closure`.
"""
