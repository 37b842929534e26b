"""JupyterLab for one person, on the open socket whose file descriptor is the argument.

The gateway alone may open the socket, and has checked the account that each request comes with. The server checks it
once more, and lets in its own person and nobody else: on a host what leads to the socket is in the person's own hands,
and in a cluster who administers it comes to a pod's port. It keeps the password in
memory, for the kernels and terminals that it starts; it stands in no file. Kernels are talked to by Unix sockets in a
folder of the person's own: on loopback every user of the machine could listen.

- ``WORKBENCH_PERSON``: whose it is,
- ``WORKBENCH_ACCOUNT``: the file with a salted hash of that person's password, read for each request,
- ``WORKBENCH_PATH``: the path at the gateway,
- ``WORKBENCH_DOOR``: the socket, ``unix:PATH`` or ``ADDRESS:PORT``,
- ``WORKBENCH_IDLE_SECONDS``: after which time without work kernels, terminals, and the server itself end,
- ``WORKBENCH_PASSWORDS``: variables of kernels and terminals that hold the person's password, separated by commas.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.serverapp import ServerApp
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError
from traitlets.config import Config

LONGEST_LOOK_SECONDS = 60
UNIX = "unix:"


def account(header: str) -> tuple[str, str]:
    """Return name and password of an ``Authorization`` header; empty ones where it holds none."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def is_right(password: str, file: Path) -> bool:
    """Tell whether it's the password that the account's file holds a hash of."""
    known = json.loads(file.read_text(encoding="utf-8"))
    digest = hashlib.sha256(f"{known['salt']}:{password}".encode()).hexdigest()
    return hmac.compare_digest(digest, known["digest"])


class OwnPerson(IdentityProvider):  # type: ignore[misc]  # without types here
    """Knows one person, by the account that the gateway has checked."""

    def get_user(self, handler: Any) -> User:
        """Return the person.

        Raises:
            HTTPError: It is somebody else (403).
        """
        name, password = account(handler.request.headers.get("Authorization", ""))
        if name != os.environ["WORKBENCH_PERSON"] or not is_right(password, Path(os.environ["WORKBENCH_ACCOUNT"])):
            handler.current_user = None  # the page that says so asks for it
            raise HTTPError(403, "this workbench is another person's")
        os.environ.update(dict.fromkeys(os.environ["WORKBENCH_PASSWORDS"].split(","), password))
        return User(username=name)


class Server(ServerApp):  # type: ignore[misc]
    """Jupyter's server on a socket that is open already; Jupyter itself can only open one."""

    def _find_http_port(self) -> None:
        """Look for none."""

    def _bind_http_server(self) -> None:
        door = socket.socket(fileno=int(sys.argv[1]))
        door.setblocking(False)
        self.http_server.add_socket(door)

    def init_shutdown_no_activity(self) -> None:
        """Look more often than every minute where the time is short."""
        seconds = min(LONGEST_LOOK_SECONDS, self.shutdown_no_activity_timeout / 2)
        PeriodicCallback(self.shutdown_no_activity, seconds * 1000).start()


def configuration(idle_seconds: int) -> Config:
    """Return the server's configuration."""
    config = Config()
    config.ServerApp.identity_provider_class = OwnPerson
    door = os.environ["WORKBENCH_DOOR"]
    if door.startswith(UNIX):
        config.ServerApp.sock = door.removeprefix(UNIX)
    else:
        address, port = door.rsplit(":", 1)
        config.ServerApp.ip, config.ServerApp.port = address, int(port)
    config.ServerApp.base_url = os.environ["WORKBENCH_PATH"]
    config.ServerApp.root_dir = os.environ["HOME"]
    config.ServerApp.default_url = "/lab"
    config.ServerApp.open_browser = False
    config.ServerApp.allow_remote_access = True  # the gateway has its own name, and other origins are refused
    config.ServerApp.jpserver_extensions = {"jupyterlab": True, "jupyter_server_terminals": True}
    config.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}
    config.ServerApp.shutdown_no_activity_timeout = idle_seconds
    for manager in (config.MappingKernelManager, config.TerminalManager):
        manager.cull_interval = max(1, min(LONGEST_LOOK_SECONDS, idle_seconds // 2))
    config.MappingKernelManager.cull_idle_timeout = idle_seconds
    config.MappingKernelManager.cull_connected = True  # a browser that was left open is no work
    config.TerminalManager.cull_inactive_timeout = idle_seconds
    config.ConnectionFileMixin.transport = "ipc"
    config.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
    config.LabApp.news_url = None
    config.LabApp.extension_manager = "readonly"
    return config


def forget(runtime: Path) -> None:
    """Remove what a server that was killed has left: connections of kernels that are gone."""
    for path in runtime.glob("*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def main() -> None:
    """Serve until told to end, or until nobody works any more."""
    forget(Path(os.environ["JUPYTER_RUNTIME_DIR"]))
    Server.launch_instance(argv=[], config=configuration(int(os.environ["WORKBENCH_IDLE_SECONDS"])))


if __name__ == "__main__":
    main()
