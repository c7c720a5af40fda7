"""Records to one HTML page that needs nothing else: content, charts, page."""

#: Runs that are shown one by one unless told otherwise: about 10 MB of page.
MAX_RUNS = 1500
