"""Bring the accounts of the team's people, and what they may do, to what is asked for.

Run with MLflow's own environment, while the server runs or before, as often as wanted. It reads

- ``MLFLOW_AUTH_CONFIG_PATH``, the ``basic_auth.ini`` that names the database of accounts,
- the file that is its argument, JSON ``[{"name": …, "password_hash": …, "tracking": "edit", "registry": "use"}]``.

People get roles of MLflow's own: one that marks them as people of the team, and one for their right in tracking and
in the registry. Who is marked and not listed is deleted with all that was granted to them. Accounts without the mark
are left alone. What an account made stays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.db.models import SqlUser
from mlflow.server.auth.entities import Role
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

MARK = "terrace-people"
OURS = "terrace-"  # what the names of all these roles begin with
# A grant on what experiments hold (runs, scorers) would count before the one on an experiment that somebody made.
RESOURCES = {"tracking": ("experiment",), "registry": ("registered_model", "prompt")}
# Anybody could make these, since MLflow has no right to make something; a role denies them.
DENIED = ("gateway_secret", "gateway_endpoint", "gateway_model_definition", "mcp_server")
Grants = dict[str, str]  # kind of resource → MLflow's permission on every one of it


def main(file: Path) -> int:
    """Converge roles and accounts; return the exit code."""
    store = SqlAlchemyStore()
    store.init_db(read_auth_config().database_uri)
    people = {person["name"]: person for person in json.loads(file.read_text(encoding="utf-8"))}
    for line in converge(store, people):
        sys.stdout.write(f"{line}\n")
    return 0


def role_name(slot: str, right: str) -> str:
    """Return the name of the role that gives a right in a slot."""
    return f"{OURS}{slot}-{right}"


def converge(store: SqlAlchemyStore, people: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Make accounts and roles what they should be and return what was changed, one line each."""
    wanted = {MARK: dict.fromkeys(DENIED, "DENY")}
    for person in people.values():
        wanted |= {role_name(slot, person[slot]): _grants(slot, person[slot]) for slot in RESOURCES if slot in person}
    roles = {name: _role(store, name, grants) for name, grants in wanted.items()}
    changed = _remove(store, people)
    for name, person in people.items():
        names = {MARK, *(role_name(slot, person[slot]) for slot in RESOURCES if slot in person)}
        if _account(store, name, person["password_hash"]) | _assign(store, name, [roles[role] for role in names]):
            changed.append(f"updated {name}")
    return changed


def _grants(slot: str, right: str) -> Grants:
    return dict.fromkeys(RESOURCES[slot], right.upper())


def _role(store: SqlAlchemyStore, name: str, grants: Grants) -> Role:
    """Return the role with exactly these grants."""
    found = {role.name: role for role in store.list_roles([DEFAULT_WORKSPACE_NAME])}
    role = found.get(name) or store.create_role(name, DEFAULT_WORKSPACE_NAME, "Made by Terrace from the team's roles")
    there = {(each.resource_type, each.resource_pattern): each for each in store.list_role_permissions(role.id)}
    for kind, permission in grants.items():
        old = there.pop((kind, "*"), None)
        if old is None:
            store.add_role_permission(role.id, kind, "*", permission)
        elif old.permission != permission:
            store.update_role_permission(old.id, permission)
    for other in there.values():
        store.remove_role_permission(other.id)
    return role


def _remove(store: SqlAlchemyStore, people: Iterable[str]) -> list[str]:
    removed = []
    for user, roles in store.list_users_with_roles():
        if user.username not in people and any(role.name == MARK for role in roles):
            store.delete_user(user.username)
            removed.append(f"deleted {user.username}")
    return removed


def _account(store: SqlAlchemyStore, name: str, password_hash: str) -> bool:
    """Make the account, or give it this hash; return whether that changed anything."""
    session: Any
    with store.ManagedSessionMaker(read_only=False) as session:
        user = session.query(SqlUser).filter(SqlUser.username == name).one_or_none()
        if user is not None and (user.password_hash, user.is_admin) == (password_hash, False):
            return False
        if user is None:
            user = SqlUser(username=name)
            session.add(user)
        user.password_hash, user.is_admin = password_hash, False
    return True


def _assign(store: SqlAlchemyStore, name: str, roles: Iterable[Role]) -> bool:
    """Give the account exactly these of our roles; return whether that changed anything."""
    user = store.get_user(name)
    wanted = {role.id for role in roles}
    held = {role.id for role in store.list_user_roles(user.id) if role.name.startswith(OURS)}
    for role in held - wanted:
        store.unassign_role_from_user(user.id, role)
    for role in wanted - held:
        store.assign_role_to_user(user.id, role)
    return wanted != held


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
