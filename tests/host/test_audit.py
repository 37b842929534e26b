"""The audit log of a platform that is up: who did what is on record, and whoever changes the record is found out."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from components.audit.programs.audit_log.chain import Point, is_sealed, key_name
from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import program_pids, wait_for
from tests.host.people import Client

FOLDER = Path(f"/var/lib/terrace/{ENVIRONMENT}/audit")
WRITER, COLLECTOR = f"terrace-{ENVIRONMENT}-audit-writer", f"terrace-{ENVIRONMENT}-gateway-audit"


@pytest.fixture(scope="module")
def key(outputs: dict[str, Any]) -> bytes:
    """What the records are sealed with."""
    found: str = outputs["credentials"]["audit"]["password"]
    return found.encode()


@pytest.fixture(scope="module")
def chain(key: bytes) -> Path:
    """The folder of the platform's chain; an earlier platform's may lie beside it."""
    return FOLDER / key_name(key)


@pytest.fixture(scope="module")
def person(outputs: dict[str, Any]) -> Client:
    """A person who may ask for predictions and features, and not read the log."""
    return Client.of(outputs, "data-scientist", outputs["people"]["data-scientist"])


def known(platform: Platform, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.json("audit", ENVIRONMENT, "--limit", "5000", *options)
    return found


def metric(gateway: requests.Session, outputs: dict[str, Any], name: str) -> float | None:
    url = outputs["endpoints"]["metrics"] + "api/v1/query"
    found = gateway.get(url, params={"query": name}, timeout=30).json()["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def done(record: dict[str, Any]) -> tuple[str, str, str]:
    return record["action"], record["object"], record["outcome"]


def test_who_did_what_is_on_record(platform: Platform, person: Client, outputs: dict[str, Any]) -> None:
    person.ask("POST", "/serving/v2/models/audited/infer", json={"inputs": []})
    person.ask("POST", "/feast/get-online-features", json={"features": ["x:y"], "entities": {"name": ["secret-value"]}})
    person.ask("GET", "/dvc/files/md5/au/dited")
    person.ask("POST", "/feast/push", json={})
    person.mlflow("GET", "experiments/get", experiment_id="0")
    person.ask("POST", "/pipelines/api/pipelines/audited/runs")
    Client.of(outputs, person.user, "wrong-pa55word").ask("GET", "/pipelines/api/pipelines")
    Client.of(outputs, "typed-by-mistake", "x").ask("GET", "/feast/health")
    wanted = {
        ("predict", "serving: audited", "failed"),
        ("read_features", "feature_store: get-online-features", "failed"),
        ("read_data", "data_versioning: files/md5/au/dited", "failed"),
        ("write_features", "feature_store: push", "refused"),
        ("read", "tracking", "ok"),
        ("run_pipeline", "pipelines: audited", "failed"),
        ("login", "pipelines", "refused"),
    }
    wait_for(lambda: wanted <= set(map(done, known(platform, "--actor", person.user))), 60)
    logins = [done(one) for one in known(platform, "--actor", person.user, "--action", "login")]
    assert "ok" in {outcome for _, _, outcome in logins}
    wait_for(lambda: ("login", "feature_store", "refused") in map(done, known(platform, "--actor", "unknown")), 60)

    ups = [(one["source"], *done(one)) for one in known(platform, "--action", "up")]
    assert ("operator", "up", "platform", "ok") in ups
    assert known(platform, "--action", "show_secrets"), "that secrets were shown, too"
    everything = "".join(path.read_text() for path in FOLDER.rglob("*.jsonl"))
    passwords = [*outputs["people"].values(), *(each["password"] for each in outputs["credentials"].values())]
    for secret in (*passwords, "secret-value", "typed-by-mistake", "wrong-pa55word"):
        assert secret not in everything


def test_only_who_may_reads_it_and_nobody_writes_past_the_gateway(person: Client, outputs: dict[str, Any]) -> None:
    auditor = Client.of(outputs, "provenance-specialist", outputs["people"]["provenance-specialist"])
    assert auditor.ask("GET", "/audit/records").status_code == 200
    assert "<h1>Audit log of" in auditor.ask("GET", "/audit/").text
    for client in (auditor, person):
        assert client.ask("POST", "/audit/events", json={"events": []}).status_code == 403
    assert person.ask("GET", "/audit/records").status_code == 403
    assert auditor.ask("GET", "/audit/metrics").status_code == 404

    port = next(one["probe_port"] for one in outputs["services"] if one["name"] == "audit")
    code = (
        "import http.client, sys\n"
        f"c = http.client.HTTPConnection('127.0.0.1', {port}, timeout=10)\n"
        "c.request(sys.argv[1], sys.argv[2], sys.argv[3]); print(c.getresponse().status)"
    )
    mlserver = pwd.getpwnam(f"terrace-{ENVIRONMENT}-mlserver").pw_uid

    def asked(uid: int, method: str, path: str, body: str = "") -> str:
        command = ["/usr/bin/python3", "-c", code, method, path, body]
        return subprocess.run(command, user=uid, capture_output=True, text=True, check=True, cwd="/").stdout.strip()

    nobody = pwd.getpwnam("nobody").pw_uid
    assert [asked(nobody, "GET", "/records"), asked(nobody, "POST", "/events", '{"events": []}')] == ["403", "403"]
    assert [asked(mlserver, "GET", "/records"), asked(mlserver, "POST", "/events", '{"events": []}')] == ["403", "200"]


@pytest.mark.usefixtures("platform")
def test_only_the_writer_reaches_its_files() -> None:
    for path in (FOLDER, *FOLDER.rglob("*")):
        assert (path.owner(), path.stat().st_mode & 0o077) == (f"terrace-{ENVIRONMENT}-audit", 0), path


def test_no_request_fails_and_nothing_is_lost_while_the_writer_is_down(
    platform: Platform, person: Client, outputs: dict[str, Any]
) -> None:
    pids = program_pids(ENVIRONMENT)
    port = next(one["probe_port"] for one in outputs["services"] if one["name"] == "audit")
    os.kill(pids[WRITER], signal.SIGSTOP)  # it answers nobody, and isn't started again
    try:
        for number in range(5):
            answer = person.ask("POST", f"/serving/v2/models/audited-down-{number}/infer", json={"inputs": []})
            assert answer.status_code == 404, "as with the writer"
    finally:
        os.kill(pids[WRITER], signal.SIGKILL)
        os.kill(pids[COLLECTOR], signal.SIGKILL)
    with requests.Session() as direct:
        direct.trust_env = False
        wait_for(lambda: _answers(direct, f"http://127.0.0.1:{port}/health"), 60)

    def told() -> list[str]:
        records = known(platform, "--action", "predict")
        return sorted(one["object"] for one in records if "audited-down" in one["object"])

    wait_for(lambda: len(told()) >= 5, 60)
    assert told() == [f"serving: audited-down-{number}" for number in range(5)], "each once"
    assert platform.json("audit", ENVIRONMENT, "--verify")["problems"] == []


def _answers(session: requests.Session, url: str) -> bool:
    try:
        return session.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def untouched(platform: Platform, chain: Path) -> Iterator[Path]:
    """The log's last file, put back as it was, byte by byte."""
    wait_for(lambda: platform.json("audit", ENVIRONMENT, "--verify")["problems"] == [], 30)
    segment = sorted(chain.glob("*.jsonl"))[-1]
    pids = [program_pids(ENVIRONMENT)[COLLECTOR]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # nothing is written meanwhile
    before = segment.read_bytes()
    try:
        yield segment
    finally:
        _overwrite(segment, before)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert platform.json("audit", ENVIRONMENT, "--verify")["problems"] == []


def _overwrite(path: Path, content: bytes) -> None:
    """Write into the same file, which the writer's user owns."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def test_tampering_is_seen(
    platform: Platform, gateway: requests.Session, outputs: dict[str, Any], untouched: Path
) -> None:
    lines = untouched.read_bytes().splitlines(keepends=True)
    assert len(lines) > 5
    last = json.loads(lines[-1])["sequence"]
    changed = lines[-2].replace(b'"outcome": "ok"', b'"outcome": "no"').replace(b'"failed"', b'"faaled"')
    changed = changed.replace(b'"refused"', b'"rofused"')
    assert changed != lines[-2]
    cases = {
        b"".join([*lines[:-2], changed, lines[-1]]): [f"record {last - 1} was changed: it doesn't have its seal"],
        b"".join([*lines[:-2], lines[-1]]): [f"record {last - 1} is missing before record {last}"],
        b"".join(lines[:-2]): [f"records {last - 1} to {last} are missing at the end"],
        b"".join([*lines[:-2], lines[-1], lines[-2]]): [
            f"record {last - 1} is missing before record {last}",
            f"record {last - 1} stands after record {last}: out of order",
        ],
    }
    for content, said in cases.items():
        _overwrite(untouched, content)
        shown = platform.terrace("audit", ENVIRONMENT, "--verify", "--json", check=False)
        assert (shown.returncode, json.loads(shown.stdout)["problems"]) == (1, said)
    # The writer sees by itself that somebody touched its files.
    wait_for(lambda: metric(gateway, outputs, 'ALERTS{alertname="AuditLogBroken"}') == 1, 60)


@pytest.mark.usefixtures("platform")
def test_the_seal_needs_the_platforms_key(key: bytes, chain: Path) -> None:
    head = json.loads((chain / "head.json").read_bytes())
    point = Point.read(key, head)
    assert point is not None
    assert point.sequence > 0
    assert Point.read(b"another", head) is None
    first = json.loads(sorted(chain.glob("*.jsonl"))[0].read_text().splitlines()[0])
    assert is_sealed(key, first)
    assert not is_sealed(b"another", first)
