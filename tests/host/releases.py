"""An earlier release of Terrace: this checkout, with the locks of some services as they were one version before."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

from tests.host.conftest import ROOT, Platform

# What a lock says of one package. `tests/host/locks/<service>.txt` has those of the packages that were others.
PIN = re.compile(r"(?m)^([a-z0-9-]+)(?:\[[a-z,-]+\])?==([^\s;]+)[^\n]*\n(?:    [^\n]*\n)*")
LOCKS = Path(__file__).parent / "locks"


def earlier(platform: Platform, folder: Path, *services: str) -> Platform:
    """Return the platform as it is driven from an earlier release, which is made in ``folder``."""
    for part in ("terrace", "components", "policies", "ansible", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for service in services:
        lock = folder / "components" / "locks" / f"{service}.txt"
        text = lock.read_text(encoding="utf-8")
        for pin in PIN.finditer((LOCKS / lock.name).read_text(encoding="utf-8")):
            now = next(found for found in PIN.finditer(text) if found[1] == pin[1])
            text = text.replace(now[0], pin[0])
        lock.write_text(text, encoding="utf-8")
    if "mlflow" in services:  # MLflow 3.16 could deny nothing, and an earlier release asked it for no denial
        people = folder / "components" / "tracking" / "programs" / "mlflow_people.py"
        people.write_text(
            re.sub(r"(?m)^DENIED = .*", "DENIED = ()", people.read_text(encoding="utf-8")), encoding="utf-8"
        )
    return dataclasses.replace(
        platform, variables={**platform.variables, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    )


def pinned(service: str, package: str) -> tuple[str, str]:
    """Return the earlier and the present version of a package in a service's lock."""
    texts = [(root / f"{service}.txt").read_text(encoding="utf-8") for root in (LOCKS, ROOT / "components" / "locks")]
    before, now = (next(pin[2] for pin in PIN.finditer(text) if pin[1] == package) for text in texts)
    return before, now


def installed(environment: str, service: str, package: str) -> str:
    """Return the version of a package in a service's environment."""
    folders = Path("/opt/terrace", environment, service).glob(f"venv/lib/python3*/site-packages/{package}-*.dist-info")
    (found,) = folders
    return found.name.removeprefix(f"{package}-").removesuffix(".dist-info")
