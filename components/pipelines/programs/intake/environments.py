"""The environment variables of what runs: a pipeline's steps, and ``uv``, which makes the environment they run in."""

from __future__ import annotations

from pathlib import Path

from ..contract.records import Run
from .processes import RUN_VARIABLE
from .settings import Settings

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
READY_FILE = ".venv/.terrace-ready"
HOME = "home"


def uv_environment(settings: Settings, run_id: str) -> dict[str, str]:
    """Return the variables of ``uv`` for a run."""
    return {
        "PATH": SYSTEM_PATH,
        "HOME": str(settings.data / HOME),
        "LANG": "C.UTF-8",
        "UV_PYTHON": "/usr/bin/python3",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        # The host's own CAs, a company's among them; uv's built-in ones where the host has none.
        "UV_SYSTEM_CERTS": str(SYSTEM_CERTIFICATES.is_file()).lower(),
        **settings.uv_variables,
        "UV_CACHE_DIR": str(settings.data / "uv-cache"),
        RUN_VARIABLE: run_id,
    }


def step_environment(settings: Settings, bundle: Path, run: Run, work: Path) -> dict[str, str]:
    """Return the variables of the steps of ``run``, whose files are in ``bundle`` and whose folder is ``work``."""
    uv = [str(Path(settings.uv).parent)] if settings.uv else []
    tools = [str(bundle / ".venv" / "bin"), *uv, SYSTEM_PATH]
    return {
        **settings.project_variables,
        "PATH": ":".join(tools),
        "HOME": str(settings.data / HOME),
        "LANG": "C.UTF-8",
        # So that a step's lines are in its log when it prints them.
        "PYTHONUNBUFFERED": "1",
        "PIPELINE_NAME": run.pipeline,
        RUN_VARIABLE: run.id,
        "PIPELINE_RUN_DIR": str(work),
        "PIPELINE_COMMIT": run.commit,
    }
