"""Records to tables and verdicts.

Read :mod:`~pare_bench.comparison.compare`, then ``task_rows`` (one task), ``overall`` and ``contrasts`` (all tasks), ``missing``, ``optimism``,
``design`` (what the runs could show) and ``gate``; ``printed`` puts the field's numbers beside ours; ``tables``, ``table_parts``, ``parts``,
``printed_parts`` and ``document`` are what is shown.
"""
