"""The network that is fine-tuned.

Read :mod:`~pare_bench.model.network`, then ``heads`` and ``line_heads``, ``losses``, ``source`` (proxy data in batches; ``source_tokens``
embeds it beforehand, ``source_probe`` says whether it survives mixing), ``trained`` (which weights move) and ``parts`` (which examples of a batch are
at work).
"""
