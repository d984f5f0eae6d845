"""The same figures as the report, live; no torch. Pages only read."""
