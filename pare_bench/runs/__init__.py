"""One configuration to one record, many configurations, and records done again.

Read :mod:`~pare_bench.runs.runner` (the only module that opens a test split), then ``campaign``, ``marks`` (what is being carried out) and
``inventory`` (what is there); ``reproduction``, ``rescoring`` and ``verification`` start from a record.
"""
