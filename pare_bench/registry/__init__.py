"""Names to components.

Read :mod:`~pare_bench.registry.specs` (what a plugin yields), then ``hookspecs`` (the hooks that ask for it), ``plugins`` (who was found, who is
broken) and ``names`` (the one place where a name is looked up); ``registering`` and ``session`` are for classes of this process alone.
"""
