"""Bring MLflow's two databases up to date and its accounts to what is asked for.

Run with MLflow's own environment before the server starts, as often as wanted. It reads

- ``MLFLOW_BACKEND_STORE_URI``, the database of runs and models,
- ``MLFLOW_AUTH_CONFIG_PATH``, the ``basic_auth.ini`` that names the database of accounts,
- ``MLFLOW_ACCOUNTS``, JSON ``[{"name": …, "password": …, "admin": true, "grants": {"registered_model": "EDIT"}}]``.

An account's ``grants`` are MLflow's permissions by the kind of resource, on every one of it, whoever made it. Accounts
that are not listed are left alone, except MLflow's own first administrator; people's are ``mlflow_people``'s. MLflow's
commands for the same purpose take the databases' addresses, and so their passwords, as arguments, where every user of
the machine can read them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.db import utils as database

BOOTSTRAP_ADMIN = "admin"
TRIES, PAUSE_SECONDS = 3, 10


@dataclass(frozen=True)
class Account:
    """One account as it should be."""

    name: str
    password: str
    admin: bool = False
    grants: dict[str, str] = field(default_factory=dict)


def main() -> int:
    """Migrate both databases, then converge the accounts; return the exit code."""
    accounts = [
        Account(entry["name"], entry["password"], bool(entry.get("admin")), entry.get("grants", {}))
        for entry in json.loads(os.environ["MLFLOW_ACCOUNTS"])
    ]
    migrate(os.environ["MLFLOW_BACKEND_STORE_URI"])
    store = SqlAlchemyStore()
    store.init_db(read_auth_config().database_uri)
    for line in converge(store, accounts):
        sys.stdout.write(f"{line}\n")
    return 0


def migrate(url: str) -> None:
    """Create the tables of runs and models, or bring those of an older MLflow up to date.

    A server does the same when it starts and misses a table. So one of the new version that starts beside this, after a
    power cut in the middle of an upgrade, may change the schema under it: then what is left is done by another try.
    """
    engine = database.create_sqlalchemy_engine_with_retry(url)
    try:
        for left in reversed(range(TRIES)):
            try:
                _bring_up_to_date(engine)
            except Exception as error:  # of the driver, or of a migration that doesn't find what it expects
                if not left:
                    raise
                sys.stdout.write(f"the tables are tried again in {PAUSE_SECONDS} s: {error!r}\n")
                time.sleep(PAUSE_SECONDS)
            else:
                break
    finally:
        engine.dispose()


def _bring_up_to_date(engine: Any) -> None:
    if database._is_empty_database(engine):
        database._initialize_tables(engine)
    elif database._get_schema_version(engine) != database._get_latest_schema_revision():
        database._upgrade_db(engine)


def converge(store: SqlAlchemyStore, accounts: Iterable[Account]) -> list[str]:
    """Make the accounts what they should be and return what was changed, one line each.

    Raises:
        mlflow.exceptions.MlflowException: MLflow refuses a password, for being shorter than 12 characters say.
    """
    wanted = {account.name: account for account in accounts}
    existing = {user.username: user for user in store.list_users()}
    changed = []
    for name, account in wanted.items():
        if name not in existing:
            store.create_user(name, account.password, is_admin=account.admin)
            changed.append(f"created {name}")
        elif not store.authenticate_user(name, account.password) or existing[name].is_admin != account.admin:
            store.update_user(name, password=account.password, is_admin=account.admin)
            changed.append(f"updated {name}")
        for resource, permission in account.grants.items():
            store.grant_user_permission(name, resource, "*", permission)
    if BOOTSTRAP_ADMIN in existing and BOOTSTRAP_ADMIN not in wanted:
        store.delete_user(BOOTSTRAP_ADMIN)
        changed.append(f"deleted {BOOTSTRAP_ADMIN}")
    return changed


if __name__ == "__main__":
    sys.exit(main())
