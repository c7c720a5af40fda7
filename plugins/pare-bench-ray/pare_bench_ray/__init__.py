"""Runs of pare-bench on a Ray cluster: the executor ``ray``."""
