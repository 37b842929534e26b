#!/usr/bin/python3
"""Ansible module: puts an nftables table in force where the kernel's differs from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: terrace_firewall
short_description: Put an nftables table in force
description:
  - Compares the table that the kernel has with what it makes of the rules, which it is given in a network namespace of
    their own for that. Where they differ, by whoever's hand, the rules are loaded.
options:
  table: {description: The table's name; its family is inet., type: str, required: true}
  rules: {description: "A text for `nft --file` that makes this table anew, and touches nothing else.", type: str,
    required: true}
author: [Terrace]
"""

NFT = "/usr/sbin/nft"
LOAD = [NFT, "--file", "-"]


def _run(command: list[str], text: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def _list(table: str) -> list[str]:
    return [NFT, "--stateless", "--numeric", "list", "table", "inet", table]


def main() -> None:
    """Compare, then load unless in check mode."""
    module = AnsibleModule(
        argument_spec={"table": {"type": "str", "required": True}, "rules": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    table, rules = module.params["table"], module.params["rules"]
    if module.check_mode and not Path(NFT).exists():
        module.exit_json(changed=True)
    script = '"$@" && exec ' + " ".join(_list(table))
    wanted = _run(["unshare", "--net", "sh", "-c", script, "sh", *LOAD], rules)
    if wanted.returncode and module.check_mode:
        module.exit_json(changed=True)  # the users that the rules name are not there yet
    if wanted.returncode:
        module.fail_json(msg=f"the kernel does not take the rules:\n{wanted.stderr.strip()}")
    changed = _run(_list(table)).stdout != wanted.stdout
    if changed and not module.check_mode:
        loaded = _run(LOAD, rules)
        if loaded.returncode:
            module.fail_json(msg=f"the rules can't be loaded:\n{loaded.stderr.strip()}")
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
