"""The network that is fine-tuned.

Read :mod:`~pare_bench.model.network`, then ``heads`` and ``line_heads``, ``losses``, ``source`` and ``source_tokens`` (proxy data in batches),
``trained`` (which weights move) and ``parts`` (which examples of a batch are at work).
"""
