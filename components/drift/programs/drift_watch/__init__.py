"""Compares what models are asked and answer with what they were trained on: ``python -m drift_watch``."""
