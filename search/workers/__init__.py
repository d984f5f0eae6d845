"""A worker's life: claims, heartbeat, stop signals; launchers place workers on machines."""
