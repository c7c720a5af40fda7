"""What a run leaves behind.

Read :mod:`~pare_bench.records.record` (the record), then ``store`` (records on disk), ``variants`` (which records are the same method),
``predictions``, and ``migrations``, ``schema`` and ``validation`` for older and for foreign records.
"""
