"""The loop and all it needs.

Read :mod:`~pare_bench.training.context` (what a method works with) and ``loop`` (top to bottom), then ``optimisation``, ``reading`` and
``checkpoint``; ``distributed``, ``memory`` and ``out_of_memory`` for several processes and little memory; ``numerics`` keeps
what a run sets for its process inside the run; ``progress`` says how far it is.
"""
