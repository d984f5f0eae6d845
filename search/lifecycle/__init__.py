"""What is done with a whole study: run and joined, confirmed, refitted, exported, deleted."""
