"""Run the service: ``python -m programs.timer``, configured by its environment (intake/settings.py)."""

from __future__ import annotations

import sys

from ..intake.serve import serve
from .local import LocalEngine

if __name__ == "__main__":
    sys.exit(serve(LocalEngine))
