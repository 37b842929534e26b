"""Programs that run beside the feature store, with its environment."""
