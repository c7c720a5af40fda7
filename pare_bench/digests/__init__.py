"""The code and the files behind a name, by digest: what a module says, what it imports, which distribution it belongs to.

Below everything else, for cached data and records are both known by code. Read :mod:`~pare_bench.digests.syntax` (one module), then ``distributions``
(what is installed) and ``closure`` (everything that is imported); ``live``, ``written_out`` and ``found`` do the
same for classes of a notebook; ``files`` has digests of files, ``sources`` and ``memory`` remember what was read,
in ``sealed`` files; ``claims`` and ``locks`` keep processes out of each other's way.
"""
