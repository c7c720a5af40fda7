"""What makes a run the run it is, and why it was done or served.

Read :mod:`~pare_bench.provenance.identity`, then ``explanation``; ``revision`` is the commit that a record names.
"""
