"""Secrets in inputs, outputs and config; additional secret outputs."""

import pulumi
from recorder import Options, Thing, stage

config = pulumi.Config()
password = config.require_secret("password")
a = Thing("a", Options(additional_secret_outputs=["token", "absent"]), value=password, plain=stage)
b = Thing("b", value=a.token, nested={"deep": password, "open": 1}, list=[password, "open"])
pulumi.export("password", password)
pulumi.export("token", a.token)
pulumi.export("made", a.made)
pulumi.export("object", config.require_object("object"))
pulumi.export("secret object", config.require_secret_object("secrets"))
pulumi.export("number", config.require_float("number"))
pulumi.export("flag", config.require_bool("flag"))
pulumi.export("other", pulumi.Config("other").require("key"))
