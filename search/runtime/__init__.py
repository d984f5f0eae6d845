"""What all trials of a study share in one process."""
