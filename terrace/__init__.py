"""The core: reads a spec, resolves it into a blueprint, and builds the platform from it."""
