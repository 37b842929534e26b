"""Programs that run on hosts as part of the slot's services."""
