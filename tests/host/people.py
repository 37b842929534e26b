"""What the tests of people's rights ask the platform: a request for each right of each slot."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from terrace.rights import Right

MLFLOW = "/mlflow/api/2.0/mlflow/"
Ask = Callable[["Client"], requests.Response]


@dataclass(frozen=True)
class Client:
    """Somebody with an account, at the gateway."""

    url: str
    user: str
    session: requests.Session

    @classmethod
    def of(cls, outputs: dict[str, Any], user: str, password: str) -> Client:
        """Return the client of an account."""
        session = requests.Session()
        session.trust_env = False
        session.verify = outputs["connection"]["TERRACE_CA_FILE"]
        session.auth = (user, password)
        return cls(outputs["connection"]["TERRACE_GATEWAY_URL"], user, session)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request below the gateway."""
        return self.session.request(method, self.url + path, timeout=60, **options)

    def mlflow(self, method: str, path: str, **body: Any) -> requests.Response:
        """Send a request to MLflow's API."""
        return self.ask(method, MLFLOW + path, **({"params": body} if method == "GET" else {"json": body}))


@dataclass(frozen=True)
class Shared:
    """What an account of projects made in MLflow: an experiment with a run, a registered model with a version."""

    experiment: str
    run: str
    model: str


@dataclass(frozen=True)
class Probe:
    """A request that needs one right, with the answer to somebody who has it."""

    slot: str
    right: Right
    status: int
    ask: Ask


def make_shared(client: Client) -> Shared:
    """Make what the probes look at and change."""
    name = f"people-{uuid.uuid4().hex[:8]}"
    experiment = client.mlflow("POST", "experiments/create", name=name).json()["experiment_id"]
    run = client.mlflow("POST", "runs/create", experiment_id=experiment).json()["run"]["info"]
    client.mlflow("POST", "registered-models/create", name=name).raise_for_status()
    version = {"name": name, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
    client.mlflow("POST", "model-versions/create", **version).raise_for_status()
    return Shared(experiment, run["run_id"], name)


def remove_shared(client: Client, shared: Shared) -> None:
    """Remove it; MLflow keeps deleted experiments out of sight."""
    client.mlflow("DELETE", "registered-models/delete", name=shared.model).raise_for_status()
    client.mlflow("POST", "experiments/delete", experiment_id=shared.experiment).raise_for_status()


def probes(shared: Shared) -> list[Probe]:
    """Return a request for each right, the lower ones of a slot first. They leave behind what they found."""
    return [
        *_behind_the_gateway(),
        Probe("pipelines", "read", 200, lambda c: c.ask("GET", "/pipelines/api/pipelines")),
        Probe("pipelines", "use", 404, lambda c: c.ask("POST", "/pipelines/api/pipelines/none/runs")),
        Probe("pipelines", "edit", 404, lambda c: c.ask("DELETE", "/pipelines/api/pipelines/none")),
        *_tracking(shared),
        *_registry(shared),
    ]


def _behind_the_gateway() -> list[Probe]:
    query, silence = "/prometheus/api/v1/query", "/alertmanager/api/v2/silences"
    model, features = "/serving/v2/models/none/infer", {"features": ["none:none"], "entities": {"none": [1]}}
    return [
        Probe("monitoring", "read", 200, lambda c: c.ask("GET", query, params={"query": "up"})),
        Probe("monitoring", "read", 200, lambda c: c.ask("POST", query, data={"query": "up"})),
        Probe("monitoring", "read", 200, lambda c: c.ask("GET", silence)),
        Probe("monitoring", "edit", 422, lambda c: c.ask("POST", silence, json={})),
        Probe("drift", "read", 200, lambda c: c.ask("GET", "/drift/")),
        Probe("drift", "use", 400, lambda c: c.ask("POST", "/drift/labels", json={})),
        Probe("drift", "edit", 202, lambda c: c.ask("POST", "/drift/look")),
        Probe("audit", "read", 200, lambda c: c.ask("GET", "/audit/records?limit=1")),
        Probe("workbench", "use", 200, lambda c: c.ask("GET", "/workbench/api/me")),
        Probe("portal", "read", 200, lambda c: c.ask("GET", "/portal/")),
        Probe("serving", "read", 200, lambda c: c.ask("GET", "/serving/v2/health/live")),
        Probe("serving", "use", 404, lambda c: c.ask("POST", model, json={"inputs": []})),
        Probe("feature_store", "read", 200, lambda c: c.ask("GET", "/feast/health")),
        Probe("feature_store", "read", 404, lambda c: c.ask("POST", "/feast/get-online-features", json=features)),
        Probe("feature_store", "edit", 422, lambda c: c.ask("POST", "/feast/push", json={})),
        Probe("data_versioning", "read", 404, lambda c: c.ask("GET", "/dvc/files/md5/people/none")),
        Probe("data_versioning", "edit", 201, lambda c: c.ask("PUT", f"/dvc/files/md5/people/{c.user}", data=b"x")),
    ]


def _tracking(shared: Shared) -> list[Probe]:
    return [
        Probe("tracking", "read", 200, lambda c: c.mlflow("GET", "experiments/get", experiment_id=shared.experiment)),
        Probe("tracking", "use", 200, _make_experiment),
        Probe("tracking", "edit", 200, lambda c: _tag(c, shared.run)),
        Probe("tracking", "manage", 200, lambda c: _delete_and_restore(c, shared.experiment)),
    ]


def _registry(shared: Shared) -> list[Probe]:
    name = {"name": shared.model}
    alias = {**name, "alias": "people"}
    return [
        Probe("registry", "read", 200, lambda c: c.mlflow("GET", "registered-models/get", **name)),
        Probe("registry", "use", 200, _make_model),
        Probe("registry", "edit", 200, lambda c: c.mlflow("POST", "registered-models/alias", version="1", **alias)),
        Probe("registry", "manage", 200, lambda c: c.mlflow("DELETE", "registered-models/alias", **alias)),
    ]


def _tag(client: Client, run: str) -> requests.Response:
    return client.mlflow("POST", "runs/set-tag", run_id=run, key="people", value=client.user)


def _make_experiment(client: Client) -> requests.Response:
    made = client.mlflow("POST", "experiments/create", name=f"people-{uuid.uuid4().hex[:8]}")
    if made.ok:
        client.mlflow("POST", "experiments/delete", experiment_id=made.json()["experiment_id"]).raise_for_status()
    return made


def _make_model(client: Client) -> requests.Response:
    name = f"people-{uuid.uuid4().hex[:8]}"
    made = client.mlflow("POST", "registered-models/create", name=name)
    if made.ok:
        client.mlflow("DELETE", "registered-models/delete", name=name).raise_for_status()
    return made


def _delete_and_restore(client: Client, experiment: str) -> requests.Response:
    deleted = client.mlflow("POST", "experiments/delete", experiment_id=experiment)
    if deleted.ok:
        client.mlflow("POST", "experiments/restore", experiment_id=experiment).raise_for_status()
    return deleted
