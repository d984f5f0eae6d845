"""The only place that speaks SQL."""

DEFAULT_URL = "sqlite:///runs/ftsearch.db"
"""Where studies are kept when nobody says otherwise, from the working directory."""
