"""Programs of people's workbenches: the first two as the person's own user, the last for all of them."""
