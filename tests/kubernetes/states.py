"""States without what differs from run to run, and those that Pulumi's own provider was seen to keep.

``python -m tests.kubernetes.states`` records them anew; the Pulumi CLI and that provider have to be on PATH.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.kubernetes.cases import everything, text_of
from tests.kubernetes.cli import by_cli
from tests.kubernetes.control_plane import running
from tests.kubernetes.world import World

_RECORDED = Path(__file__).parent / "states.json"
# Who manages which fields differs on purpose (decision 27); how far an object has come depends on the moment.
_LEFT_OUT = ("managedFields", "status", "resourceVersion", "generation", "nodeName")
_DIFFERS = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "(uid)",
    r"-[0-9a-f]{8}\b": "-(random)",
    r"kube-api-access-[a-z0-9]{5}": "kube-api-access-(random)",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "(time)",
    r"\b10\.96\.\d+\.\d+\b": "(address)",
}


def comparable(world: World) -> dict[str, Any]:
    """The objects in a world's state: type, id, inputs, and outputs of each, secrets masked."""
    found = {
        name: {"type": item.type, "id": item.id, "inputs": item.inputs, "outputs": _without(item.outputs)}
        for name, item in world.resources().items()
    }
    text = json.dumps(found, sort_keys=True).replace(world.namespace, "(namespace)")
    for pattern, instead in _DIFFERS.items():
        text = re.sub(pattern, instead, text)
    result: dict[str, Any] = json.loads(text)
    return result


def recorded(pick: int) -> dict[str, Any]:
    """What Pulumi's provider keeps of all cases, as they are first (0) or as they are changed (1)."""
    states: list[dict[str, Any]] = json.loads(_RECORDED.read_text(encoding="utf-8"))
    return states[pick]


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(item) for key, item in value.items() if key not in _LEFT_OUT}
    return [_without(item) for item in value] if isinstance(value, list) else value


def _record(folder: Path) -> list[dict[str, Any]]:
    (folder / "plane").mkdir()
    with running(folder / "plane", lambda text: print(text, file=sys.stderr)) as plane:
        os.environ["KUBECONFIG"] = str(plane.kubeconfig)
        world = World(folder / "world", plane, "recorded")
        states = []
        for pick in (0, 1):
            by_cli(world, text_of(everything, world.namespace, pick), "up", "--yes", "--skip-preview")
            states.append(comparable(world))
    return states


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        text = json.dumps(_record(Path(temporary)), indent=1, sort_keys=True)
    _RECORDED.write_text(text + "\n", encoding="utf-8")
