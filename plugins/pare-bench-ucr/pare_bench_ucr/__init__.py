"""Series of the UCR and UEA archives for pare-bench. Read plugin.py and tasks.py; files.py finds and reads, catalogue.py says what is pinned."""
