"""Rules about machines."""
