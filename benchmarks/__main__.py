"""``python -m benchmarks [--demo] [--quick] [ENV]``: measure, and print each figure beside its goal."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

from benchmarks.figures import end_in_order, show

APART = frozenset({"__init__", "__main__", "engine_child", "engine_plot", "engine_runs", "figures", "platform"})
LONG = ("backups", "cluster", "hosts")  # bring up platforms of their own


def main() -> None:
    """Measure with every module of this folder that has ``measure(env)``."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("env", nargs="?", default="local", help="an environment that is up (local)")
    parser.add_argument("--demo", action="store_true", help="run the whole demo too, first")
    parser.add_argument("--quick", action="store_true", help="leave out what makes platforms and machines of its own")
    options = parser.parse_args()
    end_in_order()
    # A user's Python keeps compiled modules; a machine that forbids it would be measured compiling.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    names = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in APART)
    first, last = ["demo"] if options.demo else [], [] if options.quick else [*LONG]
    for name in (*first, *(name for name in names if name not in ("demo", *LONG)), *last):
        show(importlib.import_module(f"benchmarks.{name}").measure(options.env))


main()
