"""Recipes of the two bundled backbones: ``python -m pare_bench.pretraining nano_swin|nano_text``."""
