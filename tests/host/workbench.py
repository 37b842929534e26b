"""People's workbenches, as the tests use them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from components.workbench.jupyterlab import service_name
from terrace.spec import Role
from tests.host.conftest import ENVIRONMENT, account

NOTEBOOK = Path(__file__).parent / "programs" / "notebook.py"
PYTHON = f"/opt/terrace/{ENVIRONMENT}/workbench/venv/bin/python"
NEWCOMER = "newcomer"  # joins in a test of the team, and leaves again
CONFIGURATION, DATA, SOFTWARE = (Path(root, "terrace", ENVIRONMENT) for root in ("/etc", "/var/lib", "/opt"))


def workbench(role: Role) -> str:
    """Return the name of the service that is the workbench of the person who has this role."""
    return workbench_of(account(role))


def workbench_of(person: str) -> str:
    """Return the name of the service that is a person's workbench."""
    return service_name(person, f"terrace-{ENVIRONMENT}-")


def user(role: Role) -> str:
    """Return the name of the system user that the person who has this role works as."""
    return f"terrace-{ENVIRONMENT}-{workbench(role)}"


def run(outputs: dict[str, Any], role: Role, code: str) -> str:
    """Run code in a notebook of the person who has this role, through the gateway, and return what it printed."""
    asked = {
        "url": outputs["endpoints"]["workbench"],
        "user": account(role),
        "password": outputs["people"][account(role)],
        "ca_file": outputs["connection"]["TERRACE_CA_FILE"],
        "code": code,
    }
    done = subprocess.run(
        [PYTHON, "-I", NOTEBOOK], input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["error"] == "", found["error"]
    return str(found["output"])
