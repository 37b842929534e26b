"""Versions of the data by content: added to a DVC repository in the run's folder, pushed to the platform's remote."""

from __future__ import annotations

import configparser
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from flights.errors import ServiceError
from flights.settings import Gateway, require

REMOTE = "platform"


def push(workspace: Path, folder: str) -> tuple[str, Path]:
    """Put ``workspace/folder`` under DVC and send it to the platform's remote.

    Returns:
        The data's hash (DVC's, of the folder) and the ``.dvc`` file that restores it.

    Raises:
        ServiceError: The remote doesn't answer or refuses the account.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    repository = workspace / ".dvc"
    if not repository.is_dir():
        Repo.init(str(workspace), no_scm=True).close()
    pointer = workspace / f"{folder}.dvc"
    try:
        with configured(repository), Repo(str(workspace)) as repo:
            repo.add(str(workspace / folder))
            repo.push(remote=REMOTE)
    except DvcException as error:
        raise _unreachable(error) from error
    return read_hash(pointer), pointer


def pull(workspace: Path, pointer: str) -> Path:
    """Restore the folder that a ``.dvc`` file's text names.

    Returns:
        The folder; DVC has compared its content's hash with the file's.

    Raises:
        ServiceError: The remote doesn't answer, or it doesn't have that data.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    workspace.mkdir(parents=True, exist_ok=True)
    Repo.init(str(workspace), no_scm=True, force=True).close()
    path = workspace / "data.dvc"
    path.write_text(pointer, encoding="utf-8")
    try:
        with configured(workspace / ".dvc"), Repo(str(workspace)) as repo:
            repo.pull(targets=[str(path)], remote=REMOTE)
    except DvcException as error:
        raise _unreachable(error) from error
    return workspace / str(_output(path)["path"])


@contextlib.contextmanager
def configured(repository: Path) -> Iterator[None]:
    """Write the remote's address to ``config`` and, for as long as it is needed, its account to ``config.local``."""
    gateway = Gateway.from_environment()
    address = require(("DVC_REMOTE_URL",))["DVC_REMOTE_URL"].rstrip("/")
    section = f"'remote \"{REMOTE}\"'"
    shared = {"url": address, "auth": "basic", "method": "PUT", "ssl_verify": gateway.ca_file}
    _write(repository / "config", {"core": {"no_scm": "True", "analytics": "false", "remote": REMOTE}, section: shared})
    account = repository / "config.local"
    _write(account, {section: {"user": gateway.user, "password": gateway.password}})
    try:
        yield
    finally:
        account.unlink(missing_ok=True)


def _write(path: Path, sections: dict[str, dict[str, str]]) -> None:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        parser.write(file)


def read_hash(pointer: Path) -> str:
    """Return the hash of the data that a ``.dvc`` file names."""
    return str(_output(pointer)["md5"])


def _output(pointer: Path) -> dict[str, object]:
    return dict(yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0])


def _unreachable(error: Exception) -> ServiceError:
    return ServiceError(
        "the data could not be sent to or fetched from the remote",
        where=os.environ.get("DVC_REMOTE_URL", "DVC_REMOTE_URL"),
        why=str(error),
        fix="check that the platform is up (terrace status), DVC_REMOTE_URL, and the gateway's account",
    )
