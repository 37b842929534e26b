"""Statements in the platform's databases."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.host.conftest import ENVIRONMENT

SOCKET = f"/var/lib/terrace/{ENVIRONMENT}/postgres/socket"
SERVER = f"terrace-{ENVIRONMENT}-postgres"


def sql(outputs: dict[str, Any], database: str, statement: str) -> str:
    """Run a statement as the database server's superuser."""
    port = next(service["probe_port"] for service in outputs["services"] if service["name"] == "postgres")
    become = ["setpriv", f"--reuid={SERVER}", f"--regid={SERVER}", "--clear-groups"]
    where = [f"--host={SOCKET}", f"--port={port}", f"--dbname={database}"]
    command = [*become, "psql", "--no-psqlrc", "--tuples-only", "--no-align", *where, f"--command={statement}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()
