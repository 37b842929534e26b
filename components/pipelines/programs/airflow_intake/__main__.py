"""Run the service: ``python -m programs.airflow_intake``, configured by its environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..intake.serve import serve
from ..intake.service import Service
from .client import AirflowClient
from .engine import AirflowEngine


def main() -> int:
    """Serve until SIGTERM and return the exit code."""

    def engine(service: Service) -> AirflowEngine:
        settings = service.settings
        client = AirflowClient(os.environ["AIRFLOW_INTAKE_URL"], settings.user, settings.password.get_secret_value())
        dags = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
        logs = Path(os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"])
        return AirflowEngine(service, client, dags, logs)

    return serve(engine)


if __name__ == "__main__":
    sys.exit(main())
