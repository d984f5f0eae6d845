"""Files that outlast a process: where checkpoints are kept, and files that are being written."""
