"""Run the service: ``python -m timer``, configured by its environment (settings.py)."""

from __future__ import annotations

import sys

from .local import LocalEngine
from .serve import serve

if __name__ == "__main__":
    sys.exit(serve(LocalEngine))
