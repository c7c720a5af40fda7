"""Records to ``leaderboard.json``, and records of others.

Read :mod:`~pare_bench.leaderboard.build`, then ``file`` (when it is written) and ``submission``.
"""
