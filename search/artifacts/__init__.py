"""Files that outlast a process: stores of checkpoints, and files that are being written."""
