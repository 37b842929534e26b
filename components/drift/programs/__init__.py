"""Programs of the watch over data and predictions, with its environment."""
