"""What the flavors of backups are made of."""
