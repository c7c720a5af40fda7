"""Records to one HTML page that needs nothing else: content, charts, page."""
