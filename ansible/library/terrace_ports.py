#!/usr/bin/python3
"""Ansible module: fails when a TCP port that a service wants is held by a process of somebody else."""

from __future__ import annotations

import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_ports
short_description: Check that TCP ports are free
description:
  - Fails, naming the process, when one of the ports is listened on by a process of another user than the given one.
options:
  ports: {description: TCP ports., type: list, elements: int, required: true}
  user: {description: The user whose own processes may hold them already., type: str, required: true}
  also: {description: "A further user that may: on another address of the host.", type: str, default: ""}
author: [Terrace]
"""

LISTENING = "0A"


def _listeners() -> dict[int, tuple[int, str]]:
    """Return port -> (uid, inode) of every listening TCP socket, IPv4 and IPv6."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        lines = Path(table).read_text().splitlines()[1:] if Path(table).exists() else []
        for line in lines:
            words = line.split()
            if words[3] == LISTENING:
                found[int(words[1].rpartition(":")[2], 16)] = (int(words[7]), words[9])
    return found


def _holder(inode: str) -> str:
    """Return «name (pid 12)» of the process that has the socket open."""
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(descriptor.readlink()) == wanted for descriptor in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue  # the process ended meanwhile
    return "a process that cannot be seen from here"


def main() -> None:
    """Look at every port and name all that are taken."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "required": True},
            "user": {"type": "str", "required": True},
            "also": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    own = {user.pw_uid for user in pwd.getpwall() if user.pw_name in (module.params["user"], module.params["also"])}
    listeners = _listeners()
    taken = [
        f"port {port} is already used by {_holder(listeners[port][1])}"
        for port in module.params["ports"]
        if port in listeners and listeners[port][0] not in own
    ]
    if taken:
        module.fail_json(msg="; ".join(taken) + ". Stop it, or give the service another port in the stack file.")
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
