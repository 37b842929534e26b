"""Rules about every service."""
