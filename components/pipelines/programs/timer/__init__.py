"""Scheduled and on-demand runs of pipelines: one process, steps in order, one run at a time per pipeline."""
