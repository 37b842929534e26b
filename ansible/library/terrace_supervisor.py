#!/usr/bin/python3
"""Ansible module: describes a service's programs to the environment's supervisor, and has all of them run."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any
from xmlrpc.client import Error, Fault, ServerProxy

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_supervisor
short_description: Keep programs running under supervisor
description:
  - Writes the programs' description and has the supervisor take it over. A program whose description changed is
    restarted by that.
  - Starts those that do not run then, also those that wait for their next try, for which the supervisor waits one
    second longer each time.
options:
  socket: {description: Socket of the supervisor., type: path, required: true}
  file: {description: The file of the description., type: path, required: true}
  description: {description: "The programs, as supervisor reads them; it may hold secrets.", type: str, required: true}
  programs: {description: Names of the programs., type: list, elements: str, required: true}
author: [Terrace]
"""

UP = ("RUNNING", "STARTING")
ALREADY_STARTED = 60  # supervisor's own number for it: it has started the program by itself meanwhile


def _differs(file: Path, content: str) -> bool:
    if not file.is_file():
        return True
    status = file.stat()
    return (status.st_uid, status.st_mode & 0o7777) != (os.geteuid(), 0o600) or file.read_text() != content


def _write(file: Path, content: str) -> None:
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(content)
    new.replace(file)


def _supervisor(socket: str) -> Any:
    """Return the supervisor's remote calls; its own Python package, which stands on the host, knows the way."""
    from supervisor.xmlrpc import SupervisorTransport

    return ServerProxy("http://127.0.0.1", transport=SupervisorTransport(serverurl=f"unix://{socket}")).supervisor


def _take_over(supervisor: Any, programs: list[str]) -> list[str]:
    """Have the supervisor run what is described now; return the programs that are new, or described anew."""
    added, changed, _ = supervisor.reloadConfig()[0]
    for program in changed:
        if program in programs:
            supervisor.stopProcessGroup(program)
            supervisor.removeProcessGroup(program)
    new = [program for program in (*changed, *added) if program in programs]
    for program in new:
        supervisor.addProcessGroup(program)
    return new


def _not_up(supervisor: Any, programs: list[str]) -> list[str]:
    return [program for program in programs if supervisor.getProcessInfo(program)["statename"] not in UP]


def _start(supervisor: Any, program: str) -> None:
    """Start a program, and wait until the supervisor counts it as running."""
    with contextlib.suppress(Fault):  # it may not run at all; one that waits for its next try would go on waiting
        supervisor.stopProcess(program)
    try:
        supervisor.startProcess(program)
    except Fault as fault:
        if fault.faultCode != ALREADY_STARTED:
            raise


def _run(supervisor: Any, programs: list[str]) -> bool:
    """Have all programs run; return whether anything had to be done."""
    new = _take_over(supervisor, programs)
    # The supervisor starts what is new by itself, a moment later.
    down = _not_up(supervisor, [program for program in programs if program not in new])
    faults = []
    for program in down:
        try:
            _start(supervisor, program)
        except Fault as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    return bool(new or down)


def _would_run(socket: str, programs: list[str]) -> bool:
    """Return whether there is anything to do; without a supervisor that knows the programs there is."""
    try:
        return bool(_not_up(_supervisor(socket), programs))
    except (Error, OSError, ImportError):
        return True


def main() -> None:
    """Describe, take over, and start, or say in check mode whether there is anything to do."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "file": {"type": "path", "required": True},
            "description": {"type": "str", "required": True, "no_log": True},
            "programs": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    file, socket = Path(module.params["file"]), module.params["socket"]
    programs, description = module.params["programs"], module.params["description"]
    changed = _differs(file, description)
    if module.check_mode:
        module.exit_json(changed=changed or _would_run(socket, programs))
    if changed:
        _write(file, description)
    try:
        acted = _run(_supervisor(socket), programs)
    except Fault as fault:
        module.fail_json(msg=f"the supervisor says {fault.faultString}")
    except (Error, OSError) as error:
        module.fail_json(msg=f"the supervisor does not answer at {socket}: {error}")
    module.exit_json(changed=changed or acted)


if __name__ == "__main__":
    main()
