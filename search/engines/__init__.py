"""Where workers run, one place a file."""
