"""The database: the only room that speaks SQL."""

DEFAULT_URL = "sqlite:///runs/ftsearch.db"
"""Where studies are kept by default, relative to the working directory."""
