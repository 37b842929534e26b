"""Programs of the slot ``pipelines``, shipped to the host as plain files."""
