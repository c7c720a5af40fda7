"""Data on disk: generated data and its cache, official files, conversion to safe formats."""
