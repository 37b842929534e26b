"""Rules about data: what is known of it, where it may be, how long it is kept."""
