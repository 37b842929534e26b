"""Programs that run beside the model server, with its environment."""
