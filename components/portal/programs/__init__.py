"""Programs of the portal that run on the host."""
