"""Records to tables and verdicts.

Read :mod:`~pare_bench.comparison.compare`, then ``task_rows`` (one task), ``contrasts`` (two methods over tasks), ``lead`` (who is ahead, in words)
and ``overall`` (all methods). ``missing`` is about runs that are not there, ``design`` has the notes, ``power`` what more seeds would see,
``optimism`` the gap of the tracks, ``gate`` a script's condition; ``printed`` puts the field's numbers beside ours. ``parts``, ``score_parts`` and
``printed_parts`` are what is shown, ``tables``, ``screen`` and ``document`` how.
"""
