"""Pages of the dashboard, one a file: records in, Dash components out."""
