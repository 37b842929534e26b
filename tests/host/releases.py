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
# What an earlier release did otherwise with an earlier version, as a substitution in a program.
PROGRAMS = {
    # MLflow 3.16 could deny nothing, and was asked for no denial.
    "mlflow": [("tracking/programs/mlflow_people.py", r"(?m)^DENIED = .*", "DENIED = ()")],
    # Feast 0.66 opened its metrics' page by a function of Python's own.
    "feast": [
        (
            "feature_store/programs/feast_server.py",
            r"(?s)    if not callable\(.*?open_metrics_page\n",
            "    import wsgiref.simple_server\n"
            "    port = int(os.environ['FEAST_METRICS_PORT'])\n"
            "    wsgiref.simple_server.make_server = lambda _host, _port, app: make_server('127.0.0.1', port, app)\n",
        )
    ],
}


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
        for program, pattern, before in PROGRAMS.get(service, ()):
            file = folder / "components" / program
            text, found = re.subn(pattern, before, file.read_text(encoding="utf-8"))
            assert found == 1, f"{program} has no {pattern} any more"
            file.write_text(text, encoding="utf-8")
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
    name = package.replace("-", "_")
    (found,) = Path("/opt/terrace", environment, service).glob(f"venv/lib/python3*/site-packages/{name}-*.dist-info")
    return found.name.removeprefix(f"{name}-").removesuffix(".dist-info")
