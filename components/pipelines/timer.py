"""A small scheduler of pipelines: one process, cron schedules, one run at a time per pipeline.

Provides what a team on one machine needs of an orchestrator: pipelines are sent as bundles, run step by step in an
environment of their own with retries and time limits, on a schedule or on demand, with logs, exit codes, and
metrics. Leaves out parallel steps, backfills, and several machines.

Upstream: this project, ``components/pipelines/programs``; built on APScheduler 3
(https://apscheduler.readthedocs.io/).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from components.base import Account, Component, FlavorSpec, Inputs
from components.gateway import GatewayOutputs
from components.pipelines import PipelinesOutputs
from components.pipelines.parts.service import (
    ACCOUNT,
    PATH,
    PROGRAMS,
    ServiceSpec,
    connections,
    environment,
    people_accounts,
    route,
    shipped,
)
from terrace.password import Password
from terrace.targets.base import Service
from terrace.workload import Artifact, Metrics, Port, Probe, Process, Workload

TIMER = f"{PROGRAMS}.timer"


class TimerSpec(ServiceSpec):
    """Options of the scheduler."""

    flavor: Literal["timer"] = "timer"


class Timer(Component[TimerSpec, PipelinesOutputs]):
    """The scheduler's service."""

    token: ClassVar[str] = "terrace:pipelines:Timer"
    spec_type: ClassVar[type[FlavorSpec]] = TimerSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway", "tracking")
    uses: ClassVar[tuple[str, ...]] = ("data_quality", "data_versioning", "feature_store", "serving")
    connects: ClassVar[tuple[str, ...]] = ("feature_store",)  # steps reach the rest through the gateway
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")
    artifact: ClassVar[Artifact] = Artifact(lock="timer", package="apscheduler")

    def build(self, spec: TimerSpec, inputs: Inputs) -> PipelinesOutputs:
        """Run the scheduler, which hands the platform's connections to the steps."""
        account = Account(ACCOUNT, Password("timer-account", self).value)
        url = inputs.of("gateway", GatewayOutputs).url + PATH
        workload = self._workload(spec, account, inputs)
        self.target.run(workload, self)
        health = self.target.address(workload, "http") + "/health"
        self.target.services.append(Service("pipelines", spec.flavor, workload.name, url, health, spec.port))
        return PipelinesOutputs(url, account)

    def _workload(self, spec: TimerSpec, account: Account, inputs: Inputs) -> Workload:
        project = connections(self.target, inputs)
        return Workload(
            name="timer",
            artifact=self.artifact,
            processes=(
                Process("server", ("$(BIN)/python", "-m", TIMER), spec.memory_mb, stop_seconds=30, computes=True),
            ),
            ports=(Port("http", spec.port),),
            files=(*shipped("timer"), people_accounts(inputs.people)),
            environment=environment(spec, account, project, inputs),
            secrets={"PIPELINES_PASSWORD": account.password, **project},
            probe=Probe("http", "/health"),
            routes=(route(spec),),
            metrics=(Metrics("http"),),
            downloads=True,
            unsaved=("uv-cache", "bundles/*/.venv"),
            volume_gb=spec.volume_gb,
        )
