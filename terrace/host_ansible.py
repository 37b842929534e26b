"""Runs an Ansible role on a host through ansible-runner, and says clearly what went wrong."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace import host_facts, remote_facts, ssh
from terrace.errors import OperationError
from terrace.redaction import redact

ANSIBLE = Path(__file__).parents[1] / "ansible"
# On this machine a role works on one core for most of its time; more roles than cores would only wait for each other.
# Elsewhere it is the host that works for most of that time, on packages above all, and this machine waits.
_CORES = max(2, os.cpu_count() or 1)
_HERE_AT_A_TIME = threading.BoundedSemaphore(_CORES)
_ELSEWHERE_AT_A_TIME = threading.BoundedSemaphore(4 * _CORES)
FOLDER_PREFIX = "terrace-run-"  # and the number of the process
MOST_CHARACTERS = 10_000  # of what a failed task said; log lines of several processes fit


@dataclass(frozen=True)
class Task:
    """A role to run: on which host, for which environment and instance, with which variables.

    ``digest`` stands for all of it, and is what marks the role as converged on the host.
    """

    host: Mapping[str, Any]
    environment: str
    role: str
    instance: str
    variables: Mapping[str, Any]
    digest: str

    def __str__(self) -> str:
        return f"{self.role} {self.instance} on {self.host['name']}"


def converge(task: Task) -> int:
    """Bring the host to what the role describes; return the number of changes."""
    return _run(task, {"terrace_state": "present"})


def is_converged(task: Task) -> bool:
    """Return False where the host's own mark says that the last run for this role failed or was cut short.

    Raises:
        OperationError: The host can't be reached.
    """
    marks = look(task.host, task.environment)["marks"]
    return marks is None or bool(marks.get(f"{task.role}-{task.instance}") == task.digest)


def is_up(task: Task) -> bool:
    """Return False where what the role keeps running is seen to be down: its supervisor, or the port of its probe.

    A service whose certificate has expired is down as well: what renews it doesn't run. Only looks where that costs
    nothing, at the kernel's list of the host's sockets.
    """
    facts = look(task.host, task.environment)
    if task.role == "base":
        return bool(facts["supervised"])
    if task.role == "service" and task.instance in facts["expired"]:
        return False
    port = (task.variables.get("service_probe") or {}).get("port")
    return port is None or int(port) in facts["ports"]


def look(host: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """Return what the host says of an environment; see `terrace.host_facts.look`.

    Raises:
        OperationError: The host can't be reached.
    """
    return host_facts.look(environment) if is_here(host) else remote_facts.of(host, environment)


def is_here(host: Mapping[str, Any]) -> bool:
    """Tell whether the host is this machine."""
    return bool(host["connection"] == "local")


def check(task: Task) -> int:
    """Return how many changes converging would make, without making any."""
    return _run(task, {"terrace_state": "present"}, "--check")


def remove(task: Task, *, delete_data: bool) -> int:
    """Remove what the role made; return the number of changes."""
    return _run(task, {"terrace_state": "absent", "terrace_delete_data": delete_data})


def remove_data(host: Mapping[str, Any], environment: str) -> None:
    """Remove the data that earlier removals left on the host, with the users that own it."""
    if not is_here(host) or (host_facts.DATA / environment).exists():
        variables = {"terrace_environment": environment}
        remove(Task(host, environment, "host", "host", variables, digest=""), delete_data=True)


def _run(task: Task, state: Mapping[str, Any], *options: str) -> int:
    if is_here(task.host):
        _require_root()
    import ansible_runner

    with _HERE_AT_A_TIME if is_here(task.host) else _ELSEWHERE_AT_A_TIME, _private_folder() as folder:
        names = {"terrace_role": task.role, "terrace_instance": task.instance, "terrace_digest": task.digest}
        variables = {**task.variables, **state, **names}
        _write(folder / "env" / "extravars", json.dumps(literal(variables)))
        _write(folder / "inventory" / "hosts.json", json.dumps(_inventory(task.host)))
        events = _Events()
        runner = ansible_runner.interface.init_runner(
            private_data_dir=str(folder),
            playbook=str(ANSIBLE / "playbooks" / "role.yml"),
            cmdline=" ".join(options) or None,
            envvars=_environment(),
            event_handler=events.take,
            quiet=True,
        )
        # By default it forks a terminal, which now and then fails in a process with gRPC's threads, as Pulumi's is.
        runner.runner_mode = "subprocess"
        runner.config.command = [*_bound_to_this_process(), *runner.config.command]
        try:
            runner.run()
        finally:
            remote_facts.forget(task.host)
        if runner.status != "successful":
            raise events.error(task, runner.status)
        return events.changes


def _bound_to_this_process() -> list[str]:
    """Return what a command begins with, so that it ends when this process is killed.

    Ansible would go on by itself otherwise, beside the next `up`, without the folder that this process made for it.
    Empty where the system has no such means.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig=TERM"] if setpriv and sys.platform == "linux" else []


def literal(value: Any) -> Any:
    """Return ``value`` with each text marked so that Ansible takes it as it is, never as a template."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, Mapping):
        return {name: literal(item) for name, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


class _Events:
    """Keeps the last task that failed and the number of changes; ansible-runner calls ``take`` for every event."""

    def __init__(self) -> None:
        self.name = ""
        self.text = ""
        self.changes = 0
        self.unreachable = False

    def take(self, event: Mapping[str, Any]) -> bool:
        """Take an event; the return value tells ansible-runner not to write it to disk."""
        kind, data = event.get("event"), event.get("event_data", {})
        if kind in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors"):
            self.name = str(data.get("task", ""))
            self.text = _message(data.get("res", {}))
            self.unreachable = kind == "runner_on_unreachable" or "Missing sudo password" in self.text
        elif kind == "playbook_on_stats":
            self.changes = sum(data.get("changed", {}).values())
        elif kind in ("error", "verbose") and not self.name:  # what Ansible, or Python, says outside of any task
            self.text = str(event.get("stdout", "")) or self.text
        return False

    def error(self, task: Task, status: str) -> OperationError:
        """Return what to tell the user, without any of the task's secrets."""
        if self.unreachable and not is_here(task.host):
            return ssh.failure(task.host, redact(self.text, task.variables))
        why = redact(self.text, task.variables) or f"Ansible ended as {status}"
        what = f"could not «{self.name}»" if self.name else "Ansible could not run the role"
        return OperationError(what, where=str(task), why=why, fix="Remove the cause and run the same command again.")


def _message(result: Mapping[str, Any]) -> str:
    if "censored" in result:
        return "what it says may hold secrets, and is never shown"
    for item in result.get("results", ()):
        if item.get("failed"):
            return _message(item)
    parts = [str(result.get(name, "")).strip() for name in ("msg", "stderr", "stdout")]
    said = [part for part in parts if part and part != "non-zero return code"]
    return "\n".join(dict.fromkeys(said))[-MOST_CHARACTERS:]


def _require_root() -> None:
    if os.geteuid() == 0:
        return
    sudo = shutil.which("sudo")
    if not sudo or subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode != 0:
        raise OperationError(
            "configuring a host needs root",
            where="this machine",
            why="the user is not root and `sudo` asks for a password, or is missing",
            fix="Run the command as root, or allow your user to use sudo without a password.",
        )


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a folder for one run, which holds secrets; also remove those that killed runs have left behind."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}[0-9]*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))  # mode 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700)
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def _inventory(host: Mapping[str, Any]) -> dict[str, Any]:
    variables = {
        "ansible_connection": host["connection"],
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_become": os.geteuid() != 0,
    }
    if not is_here(host):
        # All else stands in ssh's own configuration, so that Ansible and Terrace connect in the same way.
        variables["ansible_ssh_common_args"] = f"-F {shlex.quote(str(ssh.configuration(host)))}"
        variables["ansible_become"] = ssh.needs_sudo(host)
    return {"all": {"hosts": {host["name"]: variables}}}


def _environment() -> dict[str, str]:
    """Return what Ansible runs with: its own configuration, and programs of this Python environment first."""
    return {
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": str(ANSIBLE / "callback_plugins"),  # ansible-runner's own come in their stead
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner would have ssh take any host's key
        "ANSIBLE_SSH_ARGS": "",  # Ansible's own options would come before those of ssh's configuration
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    }
