"""What may change in a pretrained network: chains, decisions, candidates.

Imports nothing, so that reading a candidate never loads torch.
"""

PROJECT = "ftsearch"
"""Tells this package from another distribution that also installs one named ``spaces``."""
