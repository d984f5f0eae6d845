"""One training from claim to record, for searched, confirmed and refitted candidates alike."""
