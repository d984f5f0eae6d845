"""Pages of the dashboard, one per file: records in, Dash components out."""
