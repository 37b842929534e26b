"""Calls a function of Terrace on another host, which needs nothing but Python itself there."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terrace import ssh
from terrace.errors import OperationError

# Read by `python3 -` from its input: makes the modules that were sent, and calls the function.
LOADER = """\
import importlib, json, sys, types
package = types.ModuleType("terrace")
package.__path__ = []
sys.modules["terrace"] = package
for name, source in json.loads({modules!r}):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
print(json.dumps(getattr(sys.modules[{module!r}], {function!r})(*json.loads({arguments!r}))))
"""


def call(host: Mapping[str, Any], function: str, *arguments: Any, needs: tuple[str, ...] = ()) -> Any:
    """Call ``function`` on the host as root, and return its result.

    Args:
        host: The host, as the state keeps it.
        function: ``terrace.<module>.<function>``; takes and returns JSON data, and imports Python's own modules alone.
        arguments: What it is called with; every user of the host may see it.
        needs: Further modules of Terrace that its module imports, in the order of their imports.

    Raises:
        OperationError: The host can't be reached, or the call fails there.
    """
    module, _, name = function.rpartition(".")
    sources = json.dumps([(each, _source(each)) for each in (*needs, module)])
    program = LOADER.format(modules=sources, module=module, function=name, arguments=json.dumps(arguments))
    printed = ssh.run(host, ["python3", "-"], program)
    try:
        return json.loads(printed)
    except ValueError:
        raise OperationError("the host answered with something else", where=host["name"], why=printed[:500]) from None


def _source(module: str) -> str:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(module)
    return Path(found.origin).read_text(encoding="utf-8")
