"""A platform that is up, as benchmarks meet it: its connection, its services with and without the gateway.

The requests are those of the example project: run `make demo` first.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import requests

from benchmarks.figures import ROOT, TERRACE
from terrace import config
from terrace.resolve import resolve

MODEL = "flights-delay"
FEATURES = "flights_delay"
ENTITIES = {"origin_hour": ["JFK"], "carrier_day": ["UA"], "dest_day": ["IAH"]}


@dataclass(frozen=True)
class Call:
    """A request as a client sends it."""

    session: requests.Session
    url: str
    body: dict[str, Any]

    def __call__(self) -> requests.Response:
        """Send it and return the answer; raise where that isn't a good one."""
        answer = self.session.post(self.url, json=self.body, timeout=30)
        answer.raise_for_status()
        return answer


class PlatformUnderTest:
    """What the benchmarks need of an environment.

    Attributes:
        env: Its name.
        outputs: The stack's outputs, secrets shown.
        connection: The one of them that projects use.
    """

    def __init__(self, env: str) -> None:
        self.env = env
        self.outputs = _outputs(env)
        self.connection: dict[str, str] = self.outputs["connection"]
        self._ports = resolve(config.load(ROOT, env)).ports

    def prediction(self, *, gateway: bool) -> Call:
        """One prediction of the example's model, on the model's own example row."""
        metadata = self._session(gateway=True).get(f"{self.connection['SERVING_URL']}/v2/models/{MODEL}", timeout=30)
        if not metadata.ok:
            raise SystemExit(f"{MODEL} isn't served in {self.env} ({metadata.status_code}): run `make demo` first")
        body = _request(metadata.json()["inputs"], _example(self.env))
        url = self._url(self.connection["SERVING_URL"], "serving.port", gateway=gateway)
        return Call(self._session(gateway=gateway), f"{url}/v2/models/{MODEL}/infer", body)

    def lookup(self, *, gateway: bool) -> Call:
        """One look at the online features of one flight."""
        url = self._url(f"{self.connection['TERRACE_GATEWAY_URL']}/feast", "feature_store.port", gateway=gateway)
        body = {"feature_service": FEATURES, "entities": ENTITIES, "full_feature_names": True}
        return Call(self._session(gateway=gateway), f"{url}/get-online-features", body)

    def _url(self, public: str, port: str, *, gateway: bool) -> str:
        return public.rstrip("/") if gateway else f"http://127.0.0.1:{self._ports[port]}"

    def _session(self, *, gateway: bool) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        if gateway:
            session.auth = (self.connection["TERRACE_GATEWAY_USER"], self.connection["TERRACE_GATEWAY_PASSWORD"])
            session.verify = self.connection["TERRACE_CA_FILE"]
        return session


@lru_cache(maxsize=1)
def platform(env: str) -> PlatformUnderTest:
    """Look at the environment once."""
    return PlatformUnderTest(env)


def _outputs(env: str) -> dict[str, Any]:
    command = [str(TERRACE), "output", env, "--show-secrets", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{env} isn't up: run `make demo` first\n{done.stderr}")
    return dict(json.loads(done.stdout))


def _example(env: str) -> dict[str, Any]:
    """Return the row that the served model brings along as an example of its input."""
    files = sorted(Path(f"/var/lib/terrace/{env}/mlserver").rglob("serving_input_example.json"))
    if not files:
        raise SystemExit(f"no model in {env} brings an example of its input along, or this isn't root")
    text = files[-1].read_text(encoding="utf-8")
    table = json.loads(text, parse_constant=lambda _not_a_number: None)["dataframe_split"]
    return dict(zip(table["columns"], table["data"][0], strict=True))


def _request(inputs: list[dict[str, Any]], row: dict[str, Any]) -> dict[str, Any]:
    asked = [
        {
            "name": each["name"],
            "datatype": each["datatype"],
            "shape": [1, 1],
            "parameters": {"content_type": "str" if each["datatype"] == "BYTES" else "np"},
            "data": [row[each["name"]]],
        }
        for each in inputs
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": asked}
