"""Records in, HTML out; no torch."""
