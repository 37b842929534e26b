"""The embedded engine: runs a Pulumi Python program in this process and keeps its state as the Pulumi CLI does.

Importing this package is cheap: the Pulumi SDK is imported by the first operation.
"""

from terrace.engine.errors import (
    CancelledError,
    LockError,
    PassphraseError,
    StateError,
    StepError,
    UnsupportedError,
)
from terrace.engine.model import (
    Diagnostic,
    Event,
    OnEvent,
    OutputsReady,
    PropertyChange,
    RecoveryNotice,
    ResourceError,
    ResourceState,
    Result,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
)
from terrace.engine.options import Options
from terrace.engine.passphrase import Passphrase, find_passphrase, passphrase_file
from terrace.engine.project import Project
from terrace.engine.stack import Stack
from terrace.engine.stackfile import ensure_encryption_salt

__all__ = [
    "CancelledError",
    "Diagnostic",
    "Event",
    "LockError",
    "OnEvent",
    "Options",
    "OutputsReady",
    "Passphrase",
    "PassphraseError",
    "Project",
    "PropertyChange",
    "RecoveryNotice",
    "ResourceError",
    "ResourceState",
    "Result",
    "Stack",
    "StateError",
    "Step",
    "StepDone",
    "StepError",
    "StepFailed",
    "StepPlanned",
    "StepStarted",
    "UnsupportedError",
    "ensure_encryption_salt",
    "find_passphrase",
    "passphrase_file",
]
