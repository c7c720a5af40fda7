"""Recipes of the two bundled backbones: ``python -m pare_bench.pretraining nano_swin|nano_text``.

Read :mod:`~pare_bench.pretraining.vision`, then ``vision_batches`` (what is shown), ``vision_model`` (what is asked), ``vision_scores`` and
``vision_state`` (what a later day goes on from); ``text`` stands by itself.
"""
