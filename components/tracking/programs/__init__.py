"""Programs that run beside the tracking server, with its environment."""
