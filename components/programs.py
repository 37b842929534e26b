"""What is shipped to hosts from this folder: the platform's own small programs, and the locks of Python services."""

from __future__ import annotations

import re
from pathlib import Path

from terrace.workload import File

COMPONENTS = Path(__file__).parent


def program_files(slot: str, program: str) -> tuple[File, ...]:
    """Return the source files of ``components/<slot>/programs/<program>``, to be run with ``$(CONFIG)`` as path.

    ``program`` is a package's folder or a single module's file name.

    Raises:
        FileNotFoundError: There is no such program (a defect of the flavor).
    """
    root = COMPONENTS / slot / "programs"
    source = root / program
    modules = sorted(source.glob("*.py")) if source.is_dir() else [source]
    return tuple(File(str(module.relative_to(root)), module.read_text(encoding="utf-8")) for module in modules)


def lock_text(name: str) -> str:
    """Return the hash-locked requirements ``components/locks/<name>.txt``.

    Raises:
        FileNotFoundError: There is no such lock (a defect of the flavor).
    """
    return (COMPONENTS / "locks" / f"{name}.txt").read_text(encoding="utf-8")


def lock_version(name: str, package: str) -> str:
    """Return the version of ``package`` that ``components/locks/<name>.txt`` pins.

    Raises:
        ValueError: The lock has no such package (a defect of the flavor).
    """
    found = re.search(rf"(?m)^{re.escape(package)}(?:\[[^\]]*\])?==([^\s;]+)", lock_text(name))
    if not found:
        raise ValueError(f"components/locks/{name}.txt pins no {package}")
    return found[1]
