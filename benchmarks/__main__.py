"""``python -m benchmarks [--demo] [ENV]``: measure, and print each figure beside its goal."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

from benchmarks.figures import show

APART = frozenset(
    {"__init__", "__main__", "backups", "engine_child", "engine_plot", "engine_runs", "figures", "hosts", "platform"}
)


def main() -> None:
    """Measure with every module of this folder that has ``measure(env)``."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("env", nargs="?", default="local", help="an environment that is up (local)")
    parser.add_argument("--demo", action="store_true", help="run the whole demo too, first")
    options = parser.parse_args()
    # A user's Python keeps compiled modules; a machine that forbids it would be measured compiling.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    names = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in APART)
    names.remove("demo")
    for name in (["demo"] if options.demo else []) + names:
        show(importlib.import_module(f"benchmarks.{name}").measure(options.env))


main()
