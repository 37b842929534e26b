"""The plan of pods that are for nodes of some kind, or compute with accelerators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.components.cluster import containers, pods, whole, with_a_person
from tests.components.recording import blueprint, plan

PLACED = """\
    kubernetes:
      pools:
        work: {labels: {pool: work}}
        gpu: {labels: {pool: gpu}, tolerates: [dedicated]}
      placed:
        database: {pool: work}
        pipelines: {pool: gpu, accelerators: 2}
"""
WORKBENCH = "        workbench: {accelerators: 1}\n"
PLACED += WORKBENCH
WORKBENCHES_FROM = 3
OWN = {"key": "nvidia.com/gpu", "operator": "Exists"}
DEDICATED = {"key": "dedicated", "operator": "Exists"}


def _pods(folder: Path, tier: int) -> dict[str, Any]:
    def edit(text: str) -> str:
        return with_a_person(text) + (PLACED if tier >= WORKBENCHES_FROM else PLACED.replace(WORKBENCH, ""))

    found = plan(blueprint(tier, folder, target="kubernetes", edit=edit))
    objects = [whole(each.inputs) for each in found if each.type.startswith("kubernetes:")]
    return {name: template["spec"] for name, template in pods(objects)}


def test_pods_are_on_the_nodes_that_the_spec_says(tmp_path: Path) -> None:
    found = _pods(tmp_path, 3)
    where = {name: (spec.get("nodeSelector"), spec.get("tolerations")) for name, spec in found.items()}
    placed = {name: place for name, place in where.items() if place != (None, None)}
    gpu = ({"pool": "gpu"}, [DEDICATED, OWN])
    jobs = [f"database-{each}" for each in ("airflow", "feast", "mlflow", "mlflow-accounts", "predictions")]
    assert placed == {
        **dict.fromkeys(("postgres", *jobs), ({"pool": "work"}, None)),
        "airflow": gpu,
        # They have its volume, and so must get to its node.
        "backup-airflow": gpu,
        "restore-airflow": gpu,
        "wb-ann": (None, [OWN]),
        "backup-wb-ann": (None, [OWN]),
        "restore-wb-ann": (None, [OWN]),
        "workbench": (None, [OWN]),
    }


def test_what_computes_has_the_accelerators_and_nothing_else(tmp_path: Path) -> None:
    for tier, service, process in ((2, "timer", "server"), (3, "airflow", "scheduler")):
        (tmp_path / str(tier)).mkdir()
        found = _pods(tmp_path / str(tier), tier)
        counts = {
            (name, each["name"]): each["resources"]["limits"]["nvidia.com/gpu"]
            for name, spec in found.items()
            for each in containers({"spec": spec})
            if "nvidia.com/gpu" in each["resources"]["limits"]
        }
        assert counts == {(service, process): "2"} | ({("wb-ann", "server"): "1"} if tier == 3 else {})
