"""The HTTP API."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .authentication import BasicAuthentication
from .engine import Engine
from .errors import Refused
from .logs import read_from
from .metrics import metrics_page
from .people import People
from .service import Service
from .settings import MIB, Settings
from .store import Store

logger = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9A-Za-z._-]{1,100}")


def application(settings: Settings, store: Store, engine: Callable[[Service], Engine]) -> Starlette:
    """Return the application, which runs pipelines by ``engine`` and closes ``store`` when it ends."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service = Service(settings, store, engine)
        await service.start()
        app.state.service = service
        yield
        await service.stop()

    password = settings.password.get_secret_value()
    people = People(settings.people)
    authentication = Middleware(BasicAuthentication, user=settings.user, password=password, people=people)
    return Starlette(
        routes=[
            Route("/alive", alive),
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/", list_pipelines),
            Route("/api/pipelines", list_pipelines),
            Route("/api/pipelines/{name}", put_pipeline, methods=["PUT"]),
            Route("/api/pipelines/{name}", get_pipeline),
            Route("/api/pipelines/{name}", delete_pipeline, methods=["DELETE"]),
            Route("/api/pipelines/{name}/runs", start_run, methods=["POST"]),
            Route("/api/runs", list_runs),
            Route("/api/runs/{id}", get_run),
            Route("/api/runs/{id}/log", get_log),
            Route("/api/runs/{id}/cancel", cancel_run, methods=["POST"]),
        ],
        middleware=[authentication],
        exception_handlers=dict.fromkeys((Refused, HTTPException, Exception), _answer),
        lifespan=lifespan,
    )


async def alive(_request: Request) -> Response:
    """Answer that this process works, whatever the engine does."""
    return JSONResponse({"status": "ok"})


async def health(request: Request) -> Response:
    """Answer whether the service works."""
    ill = _service(request).ill()
    return JSONResponse({"status": ill}, 503) if ill else JSONResponse({"status": "ok"})


async def metrics(request: Request) -> Response:
    """Answer the page of metrics."""
    return Response(metrics_page(_service(request)), media_type="text/plain; version=0.0.4; charset=utf-8")


async def list_pipelines(request: Request) -> Response:
    """Answer all pipelines as they stand."""
    service = _service(request)
    return JSONResponse({"pipelines": [_plain(service.status(name)) for name in sorted(service.store.pipelines)]})


async def get_pipeline(request: Request) -> Response:
    """Answer one pipeline as it stands."""
    return JSONResponse(_plain(_service(request).status(request.path_params["name"])))


async def put_pipeline(request: Request) -> Response:
    """Take a bundle; the same content again changes nothing."""
    service = _service(request)
    commit = request.headers.get("x-pipeline-commit", "unknown")
    if not COMMIT.fullmatch(commit):
        raise Refused(400, "X-Pipeline-Commit is not a commit")
    folder = service.bundles.incoming()
    try:
        archive = await _receive(request, folder / "bundle.tar.gz", service.bundles.largest_bytes)
        status, changed = await service.put(request.path_params["name"], archive, commit)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    logger.info("pipeline %s sent: %s, commit %s", status.name, "changed" if changed else "unchanged", commit)
    return JSONResponse({**_plain(status), "changed": changed})


async def delete_pipeline(request: Request) -> Response:
    """Remove a pipeline with its runs."""
    name = request.path_params["name"]
    await _service(request).delete(name)
    logger.info("pipeline %s deleted", name)
    return Response(status_code=204)


async def start_run(request: Request) -> Response:
    """Start a run."""
    return JSONResponse(_plain(_service(request).run(request.path_params["name"])), 202)


async def list_runs(request: Request) -> Response:
    """Answer the kept runs, the newest first."""
    runs = _service(request).store.runs_of(request.query_params.get("pipeline"))
    return JSONResponse({"runs": [_plain(run) for run in runs]})


async def get_run(request: Request) -> Response:
    """Answer one run."""
    return JSONResponse(_plain(_service(request).find(request.path_params["id"])))


async def get_log(request: Request) -> Response:
    """Answer a step's log from ``offset`` (bytes) on, at most 1 MiB; without ``step``, that of the environment."""
    service = _service(request)
    run = service.find(request.path_params["id"])
    offset = request.query_params.get("offset", "0")
    if not re.fullmatch(r"[0-9]{1,15}", offset):
        raise Refused(400, f"offset '{offset}' is not a number of bytes")
    try:
        path = service.store.log_path(run, request.query_params.get("step"))
    except KeyError as error:
        steps = ", ".join(step.name for step in run.steps)
        raise Refused(404, f"Run {run.id} has no step {error}", f"Steps: {steps}.") from None
    content = await asyncio.to_thread(read_from, path, int(offset))
    return Response(content, media_type="text/plain; charset=utf-8")


async def cancel_run(request: Request) -> Response:
    """Ask a run to stop; it is cancelled once its step has ended."""
    return JSONResponse(_plain(_service(request).cancel(request.path_params["id"])), 202)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _plain(record: BaseModel) -> dict[str, object]:
    inner = {"group", "engine_id"}  # the service's own business
    return record.model_dump(mode="json", exclude={**dict.fromkeys(inner, True), "last_run": inner})


async def _receive(request: Request, path: Path, largest: int) -> Path:
    size = 0
    with path.open("wb") as file:
        try:
            async for block in request.stream():
                size += len(block)
                if size > largest:
                    raise Refused(
                        413,
                        f"The bundle is larger than {largest // MIB} MiB",
                        fix="Leave data and environments out of it (.gitignore).",
                    )
                file.write(block)
        except ClientDisconnect:
            raise Refused(400, "The bundle did not arrive whole") from None
    return path


async def _answer(_: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return JSONResponse(error.body(), error.status)
    if isinstance(error, HTTPException):
        return JSONResponse(Refused(error.status_code, error.detail).body(), error.status_code, error.headers)
    # The server logs the traceback itself.
    return JSONResponse(Refused(500, "The service failed to answer", fix="Its log says why.").body(), 500)
