"""The study file: read, checked, every error reported with its line."""
