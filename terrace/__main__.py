"""``python -m terrace`` is the command ``terrace``."""

from terrace.cli import main

main()
