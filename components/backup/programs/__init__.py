"""Programs of the slot ``backup``, shipped to the host as plain files."""
