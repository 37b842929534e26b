"""Rules about the platform as a whole."""
