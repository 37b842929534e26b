"""What MLflow's permissions can't say: who may make experiments and models, and who may move an alias.

MLflow lets every account make experiments and registered models, and whoever made a model move its aliases. Here
`production` deploys, so both are rights of a person (components/rights.yaml). MLflow calls :func:`authenticate`, named
in its ``basic_auth.ini``, for every request. Accounts of services are not people and pass.
"""

from __future__ import annotations

import re
from typing import Any

from flask import Response, request
from mlflow.server import auth
from mlflow_people import MARK, RESOURCES, role_name

RIGHTS = ("read", "use", "edit", "manage")  # each includes those before it
NOBODY = ""  # passwords are made by Terrace, for all services at once
NEEDS = (
    ("POST", "experiments/create", "tracking", "use"),
    ("POST", "registered-models/create", "registry", "use"),
    ("POST", "registered-models/alias", "registry", "edit"),
    ("DELETE", "registered-models/alias", "registry", "manage"),
    ("PATCH", "users/update-password", "tracking", NOBODY),
)
API = re.compile(r"/(?:ajax-)?api/\d+\.\d+/mlflow/(.+?)/?")


def authenticate() -> Any:
    """Return the request's account; or the answer 401 to a wrong one, 403 to a person who may not do this."""
    account = auth.authenticate_request_basic_auth()
    if isinstance(account, Response):
        return account
    path = API.fullmatch(request.path)
    needs = [(slot, right) for method, end, slot, right in NEEDS if path and (method, end) == (request.method, path[1])]
    if needs and not _may(account.username, *needs[0]):
        return auth.make_forbidden_response()
    return account


def _may(name: str, slot: str, needed: str) -> bool:
    """Return whether an account is none of a person, or one of a person with the right."""
    roles = {role.name for role in auth.store.list_user_roles(auth.store.get_user(name).id)}
    if MARK not in roles:
        return True
    enough = RIGHTS[RIGHTS.index(needed) :] if needed else ()
    return slot in RESOURCES and any(role_name(slot, right) in roles for right in enough)
