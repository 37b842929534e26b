"""M19: no model runs code of its file's choice when it is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

SWITCH = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
# What only holds data. Estimators and their parts call nothing that the file names but what is reviewed itself.
HARMLESS = frozenset({"functools.partial", "sklearn.utils.validation.check_array"})
PACKAGES = (
    "_loss|calibration|cluster|compose|covariance|cross_decomposition|decomposition|discriminant_analysis|dummy|ensemble|"
    "feature_extraction|feature_selection|gaussian_process|impute|isotonic|kernel_approximation|kernel_ridge|linear_model|"
    "manifold|metrics|mixture|model_selection|multiclass|multioutput|naive_bayes|neighbors|neural_network|pipeline|"
    "preprocessing|random_projection|semi_supervised|svm|tree"
)
OF_SKLEARN = re.compile(rf"sklearn\.({PACKAGES})(\._?[a-z]\w*)*\._?[A-Z]\w*")
ANOTHERS = frozenset({"Bunch", "Memory", "Parallel", "Path", "Pool", "Thread"})  # what its modules import
OF_NUMPY = re.compile(
    r"numpy\.(ndarray|dtype|bool_?|str_|(u?int|float|complex)\d+|(datetime|timedelta)64|dtypes\.[A-Z]\w*DType)"
)


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    switch = resource.variable(SWITCH)
    if resource.slot == "tracking":
        if switch.text != "false":
            yield Violation(switch.path, "unpickling is not switched off")
        return
    reviewed = resource.variable("MODEL_SYNC_TRUSTED_TYPES")
    if switch.text != "false" and not _reviews(resource):
        yield Violation(switch.path, "it unpickles, and no deployer looks at models before")
    names = filter(None, reviewed.text.split(","))
    if open_ := [str(number) for number, name in enumerate(names, 1) if not _is_harmless(name)]:
        yield Violation(reviewed.path, f"of its types, not known to run no code when loaded: number {', '.join(open_)}")


def _is_harmless(name: str) -> bool:
    known = name in HARMLESS or OF_NUMPY.fullmatch(name) or OF_SKLEARN.fullmatch(name)
    return bool(known) and name.rpartition(".")[2] not in ANOTHERS


def _reviews(resource: Resource) -> bool:
    """Tell whether a deployer with a list of reviewed types stands before the server."""
    return resource.variable("MODEL_SYNC_TRUSTED_TYPES").is_there and "model_sync" in [
        word.text for word in resource.words()
    ]


RULE = Rule(
    id="M19",
    title="models are of formats that run no code",
    why="Loading a pickle runs whatever its maker, or whoever could write the file, put in.",
    severity="critical",
    from_tier=3,
    controls={"iso27001": ("8.28",), "eu_ai_act": ("15",)},
    fix="register models as skops; in `serving.trusted_types`, estimators and trees of scikit-learn and numpy's arrays "
    "need nothing more, another type a review and a waiver",
    of=service_of("tracking", "serving"),
    check=_check,
)
