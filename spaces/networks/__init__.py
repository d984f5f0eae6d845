"""Networks made of candidates, and how two of them differ."""
