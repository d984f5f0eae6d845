"""Files that outlive a process: stores of checkpoints, and files being written."""
