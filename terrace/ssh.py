"""SSH to a host of the spec: only by key, only to the host key that the spec names, and clear about what is wrong.

A host is given as the state keeps it: the mapping of ``terrace.hosts.Host.document``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from terrace.errors import OperationError

CONNECT_SECONDS = 10
UNREACHABLE = 255  # ssh's own exit code; any other is the command's
MOST_CHARACTERS = 2000  # of what ssh said
BASTION = "{host}.bastion"  # no host's name has a dot
# For one machine in ssh's configuration: its known key is all that counts, and nobody is asked for anything.
OPTIONS = f"""\
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  BatchMode yes
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  ForwardAgent no
  ConnectTimeout {CONNECT_SECONDS}
  ServerAliveInterval 5
  ServerAliveCountMax 3
  LogLevel ERROR
"""


def configuration(host: Mapping[str, Any]) -> Path:
    """Write what ssh is to do, and the host keys that it accepts, to a private folder; return ssh's file.

    Raises:
        OperationError: The key's file is missing, or the folder is somebody else's.
    """
    for file in (key for part in _machines(host) if (key := _key_file(part))):
        if not file.is_file():
            raise OperationError(
                f"the SSH key's file {file} is missing",
                where=host["name"],
                fix="Correct `key_file` of the host.",
            )
    digest = hashlib.sha256(json.dumps(dict(host), sort_keys=True).encode()).hexdigest()[:12]
    folder = _private_folder() / digest
    folder.mkdir(mode=0o700, exist_ok=True)
    _write(folder / "known_hosts", "".join(f"{part['alias']} {part['host_key']}\n" for part in _machines(host)))
    _write(folder / "config", "".join(_lines(part, host, folder) for part in _machines(host)))
    return folder / "config"


def command(host: Mapping[str, Any], words: Sequence[str], *, as_root: bool = True) -> list[str]:
    """Return the command that runs ``words`` on the host."""
    sudo = ["sudo", "-n"] if as_root and needs_sudo(host) else []
    return ["ssh", "-F", str(configuration(host)), "-T", host["name"], shlex.join([*sudo, *words])]


def run(host: Mapping[str, Any], words: Sequence[str], text: str = "") -> str:
    """Run ``words`` on the host as root with ``text`` as its input, and return what it printed.

    Raises:
        OperationError: The host can't be reached, or the command fails there.
    """
    done = subprocess.run(command(host, words), input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise failure(host, done.stderr or f"it ended with {done.returncode}", reached=done.returncode != UNREACHABLE)
    return done.stdout


def needs_sudo(host: Mapping[str, Any]) -> bool:
    """Tell whether the account there isn't root."""
    return bool(host.get("user", "root") != "root")


def failure(host: Mapping[str, Any], said: str, *, reached: bool = False) -> OperationError:
    """Return what to tell the user of what ssh, or sudo, said.

    Args:
        host: The host.
        said: What was printed.
        reached: Whether the command ran there, so that the connection isn't at fault.
    """
    at_bastion = "" if reached or not host.get("bastion") else _said_by_bastion(host)
    text = (at_bastion or said).strip()[-MOST_CHARACTERS:]
    account = f"{host.get('user', 'root')}@{host['address']}, port {host.get('port', 22)}"
    if host.get("bastion"):
        account += f", through {host['bastion']['user']}@{host['bastion']['address']}"
    what, fix = _cause(host, text, reached=reached)
    if "Host key" in text:  # without ssh's advice to forget the key that is known
        text = "\n".join(line for line in text.splitlines() if line.startswith(("Host key", "SHA256:", "No ")))
    what = f"its bastion: {what}" if at_bastion else what
    return OperationError(what, where=f"{host['name']} ({account})", why=text or None, fix=fix)


def _said_by_bastion(host: Mapping[str, Any]) -> str:
    """Return why the bastion can't be reached; empty where it can. On the way through it, ssh keeps that to itself."""
    ask = ["ssh", "-F", str(configuration(host)), "-T", BASTION.format(host=host["name"]), "true"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.stderr if done.returncode == UNREACHABLE else ""


def _cause(host: Mapping[str, Any], text: str, *, reached: bool) -> tuple[str, str]:
    if "Host key verification failed" in text:
        fix = "Find out why before anything else. If the machine was made anew, put its new key into `host_key`."
        return "the host has another host key than the spec says", fix
    if "Permission denied (" in text:
        key = host.get("key_file") or "ssh's own keys"
        return "the host refuses the key", f"Put the public key of {key} into authorized_keys of the account there."
    if "sudo" in text and ("password is required" in text or "not found" in text or "Missing sudo" in text):
        fix = "Install sudo there, and allow the account NOPASSWD in /etc/sudoers.d; or use root."
        return "the account may not become root without a password", fix
    if reached:
        return "a command failed on the host", "Remove the cause and run the same command again."
    return "the host can't be reached", "See whether it runs, and its address; then run the same command again."


def _machines(host: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the host and its bastion, each with the name that ssh knows it by."""
    yield {**host, "alias": host["name"]}
    if bastion := host.get("bastion"):
        yield {"key_file": host.get("key_file"), **bastion, "alias": BASTION.format(host=host["name"])}


def _lines(part: Mapping[str, Any], host: Mapping[str, Any], folder: Path) -> str:
    lines = [
        f"Host {part['alias']}",
        f"  HostName {part['address']}",
        f"  Port {part['port']}",
        f"  User {part['user']}",
    ]
    lines += [f"  HostKeyAlias {part['alias']}", f'  UserKnownHostsFile "{folder}/known_hosts"']
    if key := _key_file(part):
        lines += [f'  IdentityFile "{key}"', "  IdentitiesOnly yes"]
    if part["alias"] == host["name"]:
        lines += ["  ControlMaster auto", f'  ControlPath "{folder}/%n"', "  ControlPersist 30"]
        lines += [f"  ProxyJump {BASTION.format(host=host['name'])}"] if host.get("bastion") else []
    return "\n".join(lines) + "\n" + OPTIONS


def _key_file(part: Mapping[str, Any]) -> Path | None:
    return Path(part["key_file"]).expanduser() if part.get("key_file") else None


def _private_folder() -> Path:
    """Return this user's folder for it, below the one for temporary files: sockets' paths have to be short."""
    folder = Path(tempfile.gettempdir(), f"terrace-ssh-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise OperationError("somebody else could write there", where=str(folder), fix="Remove it, and try again.")
    return folder


def _write(file: Path, text: str) -> None:
    """Replace the file in one step: other threads use it."""
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return
    descriptor, name = tempfile.mkstemp(dir=file.parent)  # mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(name).replace(file)
