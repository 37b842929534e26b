"""Speed goals and how close the platform comes: ``make bench`` prints the figures and asserts nothing."""
