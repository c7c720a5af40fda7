"""One run, described.

Read :mod:`~pare_bench.config.run_config` (the resolved run and what ``-o`` reaches), then ``presets``, ``published`` and ``published_gaps`` (preset
``paper``), ``rates`` and ``body`` (what a body asks for), ``fit``, and ``resolution``: from the words of a command to run configurations.
"""
