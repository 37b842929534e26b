"""What the API server says when it refuses, and what that means for the user."""

from __future__ import annotations

import json
from typing import Any

from terrace.engine.errors import StepError
from terrace.engine.kubernetes.objects import Object, described, namespace
from terrace.errors import OperationError


class ClusterError(OperationError):
    """The cluster can't be worked with: it can't be reached, refuses the credentials, or is too old."""


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        code: The HTTP status.
        reason: Kubernetes' reason, such as ``AlreadyExists``; empty if it gave none.
        message: What it said.
        details: The object's kind and name, and the causes by field.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{reason or code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    @classmethod
    def of(cls, code: int, phrase: str, body: bytes) -> ApiError:
        """The error of a response."""
        try:
            status = json.loads(body)
            return cls(code, status.get("reason") or "", status["message"], status.get("details"))
        except (ValueError, KeyError, AttributeError, TypeError):
            return cls(code, "", body.decode(errors="replace").strip()[:500] or phrase)

    @property
    def is_missing(self) -> bool:
        """Whether the object isn't there."""
        return self.code == 404

    @property
    def is_missing_namespace(self) -> bool:
        """Whether the namespace that the object goes into isn't there."""
        return self.code == 404 and self.details.get("kind") == "namespaces"

    @property
    def is_passing(self) -> bool:
        """Whether the same request may well succeed a little later."""
        return self.code == 429 or self.code >= 500

    def causes(self) -> list[str]:
        """Each refused field, and why."""
        return [
            ": ".join(part for part in (cause.get("field"), cause.get("message")) if part)
            for cause in self.details.get("causes") or []
        ]


class MissingKindError(Exception):
    """The server doesn't know the kind."""


def explain(error: ApiError | MissingKindError, obj: Object) -> StepError:
    """The error as the user is told it."""
    if isinstance(error, MissingKindError):
        fix = "if it is a custom resource, have it depend on what installs its CustomResourceDefinition"
        return StepError(f"the cluster knows no {error}", fix=fix)
    if error.code == 409:
        return _explain_conflict(error, obj)
    if error.code == 403:
        return _explain_forbidden(error, obj)
    if error.is_missing_namespace:
        fix = "have it depend on the Namespace, or make that first"
        return StepError(f"the namespace {namespace(obj)} isn't there", why=error.message, fix=fix)
    if error.is_missing:
        fix = "run `terrace refresh`, then `terrace up`, which makes it again"
        return StepError(f"{described(obj)} isn't there any more", why=error.message, fix=fix)
    if error.code == 401:
        return StepError("the cluster refuses the credentials", why=error.message, fix="log in anew")
    what = f"the cluster refuses {described(obj)}" + (f" ({error.reason})" if error.reason else "")
    causes = error.causes()
    return StepError(what, why="; ".join(causes) if len(causes) > 1 else error.message)


def _explain_conflict(error: ApiError, obj: Object) -> StepError:
    owners = [cause for cause in error.details.get("causes") or [] if cause.get("reason") == "FieldManagerConflict"]
    if owners:
        return StepError(
            f"others hold fields of {described(obj)}",
            why="; ".join(f"{cause.get('field')}: {cause.get('message')}" for cause in owners),
            fix="leave the fields to them by `ignore_changes`, or take the fields over by the annotation "
            '`pulumi.com/patchForce: "true"`',
        )
    if error.reason == "AlreadyExists":
        return StepError(
            f"{described(obj)} is there already",
            why=error.message,
            fix="take it over by `import_`, change some of its fields by a Patch resource, or choose another name",
        )
    return StepError(f"{described(obj)} was changed at the same time", why=error.message, fix="run the command again")


def _explain_forbidden(error: ApiError, obj: Object) -> StepError:
    if "exceeded quota" in error.message:
        fix = "ask for less, or have the namespace's ResourceQuota raised"
        return StepError(f"the quota leaves no room for {described(obj)}", why=error.message, fix=fix)
    if "violates PodSecurity" in error.message:
        fix = "give its pods the security context that the namespace's Pod Security level asks for"
        return StepError(f"{described(obj)} isn't secure enough for its namespace", why=error.message, fix=fix)
    if "is being terminated" in error.message:
        return StepError(
            f"the namespace {namespace(obj)} is being deleted", why=error.message, fix="wait until it is gone"
        )
    fix = "have a role bound to you that allows it"
    return StepError(f"you may not work on {described(obj)}", why=error.message, fix=fix)
