"""Records to ``leaderboard.json``, and records of others.

Read :mod:`~pare_bench.leaderboard.build`, then ``counting`` and ``evidence`` (which records count), ``file`` (when it is written) and ``submission``.
"""
