"""The report's figures, live; no torch. Pages only read."""
