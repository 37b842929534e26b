"""Where repositories lie: folders of this machine, or of another one, reached by SFTP."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import AgentError

REMOTE = re.compile(r"([\w.-]+@[A-Za-z0-9.-]+):(/[\w./-]*)")  # sftp's language gives other characters a meaning
ALIAS = "place"  # what ssh's configuration calls the machine
UNREACHABLE = 255  # the exit code of sftp when ssh didn't get there
MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class Access:
    """How this host gets to another machine's folders: with a key of its own, and to one machine alone.

    Args:
        account: ``user@address`` there.
        folder: Holds ssh's ``config``.
        user: The system user whose key it is.
        environment: The platform's environment, whose outputs say what lets the key in there.
    """

    account: str
    folder: Path
    user: str
    environment: str

    @property
    def _prefix(self) -> list[str]:
        """What a command starts with to be that user, whose right to read all files is not for ssh.

        As root it wouldn't do: ssh refuses root a key that others may read.
        """
        become = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if os.geteuid() == 0 else []
        return ["setpriv", *become, "--inh-caps=-all", "--ambient-caps=-all"]

    @property
    def restic(self) -> str:
        """What restic speaks SFTP to."""
        return shlex.join([*self._prefix, "ssh", "-F", str(self.folder / "config"), "-T", "-s", ALIAS, "sftp"])

    def names(self, folder: Path) -> list[str] | None:
        """Return what lies in a folder there, in no order; None where there is no such folder.

        Raises:
            AgentError: The machine doesn't tell; nothing was touched.
        """
        ask = [*self._prefix, "sftp", "-F", str(self.folder / "config"), "-b", "-", ALIAS]
        done = subprocess.run(ask, input=f'@ls -1 "{folder}"\n', capture_output=True, text=True, check=False, cwd="/")
        if done.returncode == 0:
            found = done.stdout.splitlines()
            return [Path(line).name for line in found] if found != [str(folder)] else None  # that is a file
        if done.returncode != UNREACHABLE and done.stderr.rstrip().endswith("not found"):
            return None
        raise self._failure(done.stderr, reached=done.returncode != UNREACHABLE)

    def _failure(self, said: str, *, reached: bool) -> AgentError:
        what, fix = self._cause(said, reached=reached)
        if "Host key" in said:  # without ssh's advice to forget the key that is known
            said = "\n".join(line for line in said.splitlines() if line.startswith(("Host key", "SHA256:", "No ")))
        why = said.strip().removesuffix("Connection closed").strip()[-MOST_CHARACTERS:]
        return AgentError(f"{self.account}, the place of the backups: {what}", why=why, fix=fix, refused=True)

    def _cause(self, said: str, *, reached: bool) -> tuple[str, str]:
        if "Host key verification failed" in said:
            fix = (
                "Find out why before anything else. If it was made anew, put the new key into `backup.place.host_key`."
            )
            return "it has another host key than the spec says", fix
        if "Permission denied (" in said:
            fix = f"Put the line of `terrace output {self.environment} public_keys` into the account's authorized_keys."
            return "it refuses the platform's key", fix
        if reached:
            return "it doesn't show a folder", "Let the account there read and write it."
        if "subsystem request failed" in said or "message too long" in said:
            return "it doesn't offer SFTP", "Have its SSH server do so: `Subsystem sftp internal-sftp`."
        return "it can't be reached", "See whether it runs, and its address and port; then try again."


@dataclass(frozen=True)
class Place:
    """A folder that holds repositories, or is one.

    Args:
        path: The folder.
        access: How to get to the machine that has it; None for this machine.
    """

    path: Path
    access: Access | None = None

    @classmethod
    def parse(cls, text: str, access: Access | None) -> Place:
        """Read ``/folder``, or ``user@address:/folder`` of the one machine that there is access to.

        Raises:
            AgentError: There is no access to it.
        """
        found = REMOTE.fullmatch(text)
        if not found:
            return cls(Path(text))
        if access is None or access.account != found[1]:
            known = f"the platform's own place is on {access.account}" if access else "its own place is a folder"
            fix = "Name it in the spec, with its host key, as `backup.place`; or mount it, and name the folder."
            raise AgentError(f"this platform has no way to {found[1]}", why=known, fix=fix, refused=True)
        return cls(Path(found[2]), access)

    def __str__(self) -> str:
        """Return it as `parse` reads it."""
        return f"{self.access.account}:{self.path}" if self.access else str(self.path)

    def __truediv__(self, name: str) -> Place:
        """Return a folder in it."""
        return replace(self, path=self.path / name)

    @property
    def name(self) -> str:
        """Its last part."""
        return self.path.name

    @property
    def resolved(self) -> Place:
        """The same folder without symbolic links, as far as they are known here."""
        return self if self.access else replace(self, path=self.path.resolve())

    def extended(self, suffix: str) -> Place:
        """Return the folder beside it whose name goes on with ``suffix``."""
        return replace(self, path=Path(f"{self.path}{suffix}"))

    def names(self) -> list[str] | None:
        """Return what lies in it, in no order; None where it isn't there.

        Raises:
            AgentError: The machine that has it doesn't tell.
        """
        if self.access:
            return self.access.names(self.path)
        return [path.name for path in self.path.iterdir()] if self.path.is_dir() else None

    def newest_first(self) -> list[Place]:
        """Return the folders in it; repositories are named by the time at which they were made."""
        return [self / name for name in sorted(self.names() or (), reverse=True)]

    @property
    def location(self) -> str:
        """What restic calls it."""
        return f"sftp:{self}" if self.access else str(self.path)

    @property
    def options(self) -> list[str]:
        """What restic has to know to get there."""
        return ["-o", f"sftp.command={self.access.restic}"] if self.access else []
