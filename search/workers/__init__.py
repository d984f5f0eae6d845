"""The worker process: claims, heartbeat, stop signals; launchers start workers on machines."""
