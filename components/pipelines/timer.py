"""A small scheduler of pipelines: one process, cron schedules, one run at a time per pipeline.

Provides what a team on one machine needs of an orchestrator: pipelines are sent as bundles, run step by step in an
environment of their own with retries and time limits, on a schedule or on demand, with logs, exit codes, and
metrics. Leaves out parallel steps, backfills, and several machines.

Upstream: this project, ``components/pipelines/programs/timer``; built on APScheduler 3
(https://apscheduler.readthedocs.io/).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.base import Account, Component, FlavorSpec, Inputs, PersonAccount
from components.data_quality import DataQualityOutputs
from components.gateway import GatewayOutputs
from components.pipelines import PipelinesOutputs
from components.programs import program_files
from terrace.password import Password
from terrace.targets.base import Service
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, Route, Workload

PATH = "/pipelines/"
ACCOUNT = "pipelines"


class TimerSpec(FlavorSpec):
    """Options of the scheduler."""

    flavor: Literal["timer"] = "timer"
    port: int = Field(15090, ge=1024, le=65535, description="TCP port on loopback.")
    memory_mb: int = Field(4096, ge=512, description="Most memory (MiB) of one step's process.")
    keep_runs: int = Field(20, ge=1, le=10000, description="Runs of each pipeline whose files are kept.")
    bundle_mb: int = Field(256, ge=1, le=4096, description="Largest bundle (MiB) that can be sent.")


class Timer(Component[TimerSpec, PipelinesOutputs]):
    """The scheduler's service."""

    token: ClassVar[str] = "terrace:pipelines:Timer"
    spec_type: ClassVar[type[FlavorSpec]] = TimerSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway", "tracking")
    uses: ClassVar[tuple[str, ...]] = ("data_quality", "data_versioning", "feature_store", "serving")
    connects: ClassVar[tuple[str, ...]] = ("feature_store",)  # steps reach the rest through the gateway
    keeps_files: ClassVar[bool] = True
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: TimerSpec, inputs: Inputs) -> PipelinesOutputs:
        """Run the scheduler, which hands the platform's connections to the steps."""
        gateway = inputs.of("gateway", GatewayOutputs)
        account = Account(ACCOUNT, Password("timer-account", self).value)
        url = gateway.url + PATH
        project: dict[str, pulumi.Input[str]] = dict(self.target.facts)
        for outputs in inputs.all():
            project |= outputs.connection()
        workload = self._workload(spec, account, project, _required_steps(inputs), inputs.people)
        self.target.run(workload, self)
        self.target.services.append(
            Service(
                "pipelines",
                spec.flavor,
                workload.name,
                url,
                self.target.address(workload, "http") + "/health",
                spec.port,
            )
        )
        return PipelinesOutputs(url, account)

    def _workload(
        self,
        spec: TimerSpec,
        account: Account,
        project: Mapping[str, pulumi.Input[str]],
        required_steps: tuple[str, ...],
        people: tuple[PersonAccount, ...],
    ) -> Workload:
        return Workload(
            name="timer",
            artifact=Artifact(lock="timer"),
            processes=(Process("server", ("$(BIN)/python", "-m", "timer"), spec.memory_mb, stop_seconds=30),),
            ports=(Port("http", spec.port),),
            files=(*program_files("pipelines", "timer"), File("people.json", _people(people), live=True)),
            environment={
                "PYTHONPATH": "$(CONFIG)",
                "TIMER_ADDRESS": "127.0.0.1",
                "TIMER_PORT": str(spec.port),
                "TIMER_DATA": "$(DATA)",
                "TIMER_USER": account.user,
                "TIMER_PEOPLE": "$(CONFIG)/people.json",
                "TIMER_KEEP_RUNS": str(spec.keep_runs),
                "TIMER_BUNDLE_MB": str(spec.bundle_mb),
                "TIMER_UV": "$(BIN)/uv",
                "TIMER_REQUIRED_STEPS": ",".join(required_steps),
                "TIMER_PROJECT_VARIABLES": ",".join(sorted(project)),
            },
            secrets={"TIMER_PASSWORD": account.password, **project},
            probe=Probe("http", "/health"),
            routes=(Route(PATH, "http", auth="own", body_mb=spec.bundle_mb, hidden=("metrics",)),),
            metrics=(Metrics("http"),),
            downloads=True,
            unsaved=("uv-cache", "bundles/*/.venv"),
        )


def _people(people: tuple[PersonAccount, ...]) -> pulumi.Output[str]:
    """Return the service's file of people's accounts, a secret: JSON ``[{name, salt, digest, right}]``."""
    here = [person for person in people if person.member.may("pipelines", "read")]

    def accounts(passwords: list[str]) -> str:
        return json.dumps(
            [
                {"name": person.user, "right": person.member.right("pipelines"), **_digest(person.user, password)}
                for person, password in zip(here, passwords, strict=True)
            ]
        )

    return pulumi.Output.secret(pulumi.Output.all(*(person.password for person in here)).apply(accounts))


def _digest(user: str, password: str) -> dict[str, str]:
    salt = hashlib.sha256(f"pipelines:{user}:{password}".encode()).hexdigest()[:16]
    return {"salt": salt, "digest": hashlib.sha256(f"{salt}:{password}".encode()).hexdigest()}


def _required_steps(inputs: Inputs) -> tuple[str, ...]:
    gate = inputs.optional("data_quality", DataQualityOutputs)
    return gate.required_steps if gate else ()
