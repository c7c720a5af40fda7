"""Time series of the UCR and UEA archives for pare-bench. Read plugin.py, then tasks.py; files.py finds and reads, catalogue.py says what is pinned."""
