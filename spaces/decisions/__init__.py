"""Structure and recipe decisions, one a file."""
