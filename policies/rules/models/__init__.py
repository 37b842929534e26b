"""Rules about experiments, models, and how they are served."""
