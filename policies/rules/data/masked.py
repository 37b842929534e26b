"""M25: what is sensitive is masked in kept predictions, and doesn't get into the gateway's logs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack
from terrace.masking import STRICTNESS, input_classes

LOG_FORMAT = re.compile(r"(?m)^\s*log_format\s[^;]{0,2000};")
TELLS_TOO_MUCH = re.compile(r"\$(request_body|http_authorization|http_cookie|sent_http_set_cookie|remote_passwd)\b")


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    if resource.slot == "gateway":
        content = resource.file("nginx.conf")
        if any(TELLS_TOO_MUCH.search(form) for form in LOG_FORMAT.findall(content.text)):
            yield Violation(content.path, "bodies or passwords of requests get into its logs")
        return
    masks = resource.file("masks.json")
    held = masks.parsed()
    for model, inputs in input_classes(stack.setting.use_cases).items():
        for name, wanted in inputs.items():
            known = held[model][name].text
            if known not in STRICTNESS or STRICTNESS.index(known) < STRICTNESS.index(wanted):
                yield Violation(masks.path, f"{model}: the input {name} is {wanted}, and is not masked as that")


RULE = Rule(
    id="M25",
    title="sensitive data is masked where it is kept",
    why="Logs and kept predictions are copied, backed up, and read by more people than the data itself.",
    severity="high",
    from_tier=3,
    controls={"gdpr": ("25",), "iso27001": ("8.11",)},
    fix="name the sensitive `columns` and their `class` in `use_cases.*.sources`, and leave bodies out of log formats",
    of=service_of("serving", "gateway"),
    check=_check,
)
