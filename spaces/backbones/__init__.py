"""Where pretrained networks come from, one source a file."""
