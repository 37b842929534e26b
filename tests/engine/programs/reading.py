"""A resource that something else manages."""

import pulumi
from pulumi.dynamic import Resource
from recorder import Options, Recorder, Thing, stage


class Found(Resource):
    made: pulumi.Output[str]

    def __init__(self, name: str, identifier: str) -> None:
        super().__init__(Recorder(), name, {"label": identifier, "made": None}, Options(id=identifier))


thing = Thing("thing", Options(retain_on_delete=True), value=1)
if stage > 1:
    found = Found("found", "thing")
    pulumi.export("found", found.made)
