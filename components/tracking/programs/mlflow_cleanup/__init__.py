"""Removes for good, once a day, what people deleted in MLflow long enough ago."""
