"""Airflow as the pipelines service sees it: its REST API, on DAG files that are read and runs whose steps really run.

What Airflow itself does with them, tests/host/test_airflow.py asks of a real one.
"""

from __future__ import annotations

import ast
import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from components.pipelines.programs.airflow_intake.client import AirflowClient
from components.pipelines.programs.airflow_intake.engine import AirflowEngine
from components.pipelines.programs.airflow_intake.names import ENVIRONMENT, run_id
from components.pipelines.programs.airflow_intake.steps import StepFailed, Task, carry_out, definition_of
from components.pipelines.programs.contract.records import Run, now
from components.pipelines.programs.intake.api import application
from components.pipelines.programs.intake.settings import Settings
from components.pipelines.programs.intake.store import Store
from tests.components.timer_server import PASSWORD, STARTS_WITHIN_SECONDS, Server, free_port, wait_for

HEALTHY = {part: {"status": "healthy"} for part in ("metadatabase", "scheduler", "dag_processor")}


@dataclass
class DagRun:
    """A run as Airflow keeps it."""

    dag_id: str
    id: str
    kind: str
    state: str = "queued"
    note: str | None = None
    began: str = field(default_factory=lambda: now().isoformat())
    states: dict[str, str | None] = field(default_factory=dict)
    stop: Callable[[], object] = lambda: None

    def shown(self) -> dict[str, Any]:
        """Return it as the API does."""
        times = {"start_date": self.began, "queued_at": self.began, "run_after": self.began}
        names = {"dag_id": self.dag_id, "dag_run_id": self.id, "run_type": self.kind}
        return {**names, **times, "state": self.state, "note": self.note}


class PlayedAirflow:
    """Airflow's API on a free port, and its workers: a thread for each run."""

    def __init__(self, dags: Path) -> None:
        self.dags = dags
        self.port = free_port()
        self.health: dict[str, Any] = dict(HEALTHY)
        self.paused = False
        self.reads = True
        self.stuck = False
        self.runs: dict[tuple[str, str], DagRun] = {}
        self.settings: Settings | None = None
        self._server = uvicorn.Server(uvicorn.Config(self._app(), port=self.port, log_config=None))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_for(lambda: self._server.started, STARTS_WITHIN_SECONDS)

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(30)

    def begin(self, dag_id: str, airflow_id: str, kind: str = "manual") -> DagRun:
        """Begin a run of the DAG as its file is."""
        run = self.runs[dag_id, airflow_id] = DagRun(dag_id, airflow_id, kind)
        threading.Thread(target=self._work, args=[run], daemon=True).start()
        return run

    def _work(self, run: DagRun) -> None:
        try:
            asyncio.run(self._carry_out(run))
        finally:
            # A worker that fails in another way than a step does must not keep a test waiting.
            run.state = run.state if run.state == "success" else "failed"

    async def _carry_out(self, run: DagRun) -> None:
        assert self.settings
        call = self._call(run.dag_id)
        definition = definition_of(self.settings, call["digest"])
        tasks = {step.name: step.retries for step in definition.steps}
        if (self.settings.data / "bundles" / call["digest"] / "uv.lock").is_file():
            tasks = {ENVIRONMENT: 0, **tasks}
        run.states = dict.fromkeys(tasks)
        record = Run(
            id=run_id(run.dag_id, run.id),
            pipeline=run.dag_id,
            commit=call["commit"],
            digest=call["digest"],
            trigger="request",
            started=now(),
        )
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        run.stop = partial(loop.call_soon_threadsafe, stop.set)
        run.state = "running"
        for name, retries in tasks.items():
            if not await self._task(run, Task(record, name, 1), retries, stop):
                run.state = "failed"
                return
        run.state = "success"

    async def _task(self, run: DagRun, task: Task, retries: int, stop: asyncio.Event) -> bool:
        assert self.settings
        for attempt in range(1, retries + 2):
            run.states[task.step] = "running"
            try:
                await carry_out(self.settings, Task(task.run, task.step, attempt), stop)
            except StepFailed as error:
                run.states[task.step] = "up_for_retry" if attempt <= retries else "failed"
                if error.final or stop.is_set():
                    break
            else:
                run.states[task.step] = "success"
                return True
        run.states = {name: state or "upstream_failed" for name, state in run.states.items()}
        run.states[task.step] = "failed"
        return False

    def _call(self, dag_id: str) -> dict[str, str]:
        """Return what the DAG's file says of it."""
        (call,) = [
            node
            for node in ast.walk(ast.parse((self.dags / f"{dag_id}.py").read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        return {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}

    def _app(self) -> Starlette:
        routes = {
            "/auth/token": self._token,
            "/api/v2/monitor/health": self._health,
            "/api/v2/importErrors": self._errors,
            "/api/v2/dags": self._all,
            "/api/v2/dags/{dag}": self._dag,
            "/api/v2/dags/{dag}/dagRuns": self._dag_runs,
            "/api/v2/dags/{dag}/dagRuns/{run}": self._dag_run,
            "/api/v2/dags/{dag}/dagRuns/{run}/taskInstances": self._tasks,
        }
        methods = ["GET", "POST", "PATCH", "DELETE"]
        return Starlette(routes=[Route(path, answer, methods=methods) for path, answer in routes.items()])

    async def _token(self, request: Request) -> Response:
        right = await request.json() == {"username": "pipelines", "password": PASSWORD}
        return JSONResponse({"access_token": "the-token"} if right else {"detail": "no"}, 201 if right else 401)

    async def _health(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer the-token":
            return JSONResponse({"detail": "no"}, 401)
        return JSONResponse(self.health)

    async def _errors(self, _: Request) -> Response:
        errors = [{"filename": "broken.py", "stack_trace": "Traceback\nValueError: it is broken\n"}]
        return JSONResponse({"import_errors": errors})

    async def _all(self, _: Request) -> Response:
        return JSONResponse({"dags": [self._shown(file.stem) for file in self.dags.glob("*.py")]})

    def _shown(self, dag_id: str) -> dict[str, Any]:
        there = (self.dags / f"{dag_id}.py").is_file()
        tags = [{"name": f"bundle:{self._call(dag_id)['digest']}"}] if there and self.reads else []
        return {
            "dag_id": dag_id,
            "is_stale": not there and not self.stuck,
            "is_paused": self.paused,
            "tags": tags,
            "next_dagrun_run_after": "2030-01-01T00:00:00Z",
        }

    async def _dag(self, request: Request) -> Response:
        dag_id = request.path_params["dag"]
        if request.method == "DELETE":
            self.runs = {key: run for key, run in self.runs.items() if key[0] != dag_id}
            return Response(status_code=204)
        return JSONResponse(self._shown(dag_id))

    async def _dag_runs(self, request: Request) -> Response:
        if request.method == "POST":
            body = await request.json()
            return JSONResponse(self.begin(request.path_params["dag"], body["dag_run_id"]).shown())
        return JSONResponse({"dag_runs": [run.shown() for run in reversed(self.runs.values())]})

    async def _dag_run(self, request: Request) -> Response:
        key = request.path_params["dag"], request.path_params["run"]
        run = self.runs.get(key)
        if run is None:
            return JSONResponse({"detail": "there is none"}, 404)
        if request.method == "DELETE":
            del self.runs[key]
            return Response(status_code=204)
        if request.method == "PATCH":
            body = await request.json()
            run.note = body["note"]
            run.stop()
        return JSONResponse(run.shown())

    async def _tasks(self, request: Request) -> Response:
        run = self.runs[request.path_params["dag"], request.path_params["run"]]
        return JSONResponse(
            {"task_instances": [{"task_id": name, "state": state} for name, state in run.states.items()]}
        )


class Intake(Server):
    """The pipelines service in a thread of this process, before a played Airflow."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.airflow = PlayedAirflow(self.data / "dags")

    def start(self) -> None:
        """Start the service and wait until it answers that all is well."""
        settings = self.airflow.settings = Settings.from_environment(self.environment())
        client = AirflowClient(f"http://127.0.0.1:{self.airflow.port}", settings.user, PASSWORD)
        engine = partial(AirflowEngine, client=client, dags=self.airflow.dags, logs=self.data / "logs")
        served = application(settings, Store(settings.data), engine)
        self._server = uvicorn.Server(uvicorn.Config(served, port=self.port, log_config=None))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_for(self.answers, STARTS_WITHIN_SECONDS)

    def stop(self) -> None:
        """End the service; what Airflow carries out goes on."""
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "the service does not end"
