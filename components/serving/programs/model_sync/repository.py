"""The folder from which MLServer loads, ``<model>/<entry>/model-settings.json``.

Each served model has two entries: ``default``, without a version, and one called by its version. MLServer makes a
version that is being loaded its model's default at once, before it can answer, but never in place of one without a
version; and it replaces a loaded entry by its new contents only when these answer. So ``default`` is what clients
of the model reach, without a gap. The second entry is what clients of a certain version reach, lets a new version
be tried before it is served, and takes the requests on their way while ``default`` moves to another environment. The
entry of the version before stays until the next one comes: its libraries are loaded, so going back to it takes no
longer than loading the model.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import quote, unquote

DEFAULT = "default"
RUNTIME = "model_sync.runtime.RegistryRuntime"


class Repository:
    """MLServer's model folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """Return the models that have entries."""
        return sorted(unquote(folder.name) for folder in self._root.iterdir())

    def served(self, name: str) -> str | None:
        """Return the registry's version that ``default`` holds."""
        settings = self._folder(name) / DEFAULT / "model-settings.json"
        if not settings.exists():
            return None
        return str(json.loads(settings.read_text(encoding="utf-8"))["parameters"]["extra"]["registry_version"])

    def write(self, name: str, version: str, files: Path, environment: Path, *, serve: bool) -> None:
        """Write the version's own entry, or ``default`` where it is to be served."""
        folder = self._folder(name) / (DEFAULT if serve else version)
        folder.mkdir(parents=True, exist_ok=True)
        parameters = {
            "uri": str(files),
            "environment_path": str(environment),
            "extra": {"registry_version": version},
        }
        if not serve:
            parameters["version"] = version
        settings = {"name": name, "implementation": RUNTIME, "parameters": parameters}
        partial = folder / "partial"
        partial.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        partial.replace(folder / "model-settings.json")

    def keep(self, name: str, *versions: str) -> None:
        """Remove the entries of every version but these."""
        for entry in self._folder(name).iterdir():
            if entry.name not in (DEFAULT, *versions):
                shutil.rmtree(entry)

    def versions(self, name: str) -> set[str]:
        """Return the versions that have entries of their own."""
        return {entry.name for entry in self._folder(name).glob("*") if entry.name != DEFAULT}

    def snapshot(self, name: str) -> dict[str, str]:
        """Return the contents of the model's entries, for :meth:`restore`."""
        return {
            file.parent.name: file.read_text(encoding="utf-8")
            for file in self._folder(name).glob("*/model-settings.json")
        }

    def restore(self, name: str, entries: dict[str, str]) -> None:
        """Put the model's entries back to what :meth:`snapshot` returned."""
        self.remove(name)
        for entry, contents in entries.items():
            folder = self._folder(name) / entry
            folder.mkdir(parents=True)
            (folder / "model-settings.json").write_text(contents, encoding="utf-8")

    def remove(self, name: str) -> None:
        """Remove the model's entries."""
        shutil.rmtree(self._folder(name), ignore_errors=True)

    def _folder(self, name: str) -> Path:
        return self._root / folder_name(name)


def folder_name(name: str) -> str:
    """Return a folder's name for a model, whatever characters the model's name has."""
    return quote(name, safe=" ").replace(".", "%2E")
