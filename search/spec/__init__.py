"""The study file: read, checked, every fault reported with its line."""
