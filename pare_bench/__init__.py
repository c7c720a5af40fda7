"""A benchmark suite for cross-modal fine-tuning."""

__version__ = "0.1.0"
