"""The options ignore_changes and replace_on_changes."""

from recorder import Options, Thing, stage

Thing(
    "ignored",
    Options(ignore_changes=["value", "nested.a", "list[0]"]),
    value=stage,
    nested={"a": stage, "b": 1},
    list=[stage, 1],
)
Thing("partly", Options(ignore_changes=["value"]), value=stage, other=stage)
Thing("all-of", Options(ignore_changes=["nested.*"]), nested={"a": stage, "b": stage})
Thing("by-engine", Options(replace_on_changes=["value"]), no_opinion=True, value=stage, label=f"by-engine-{stage}")
Thing(
    "deep",
    Options(replace_on_changes=["nested.a"]),
    no_opinion=True,
    nested={"a": stage, "b": 1},
    label=f"deep-{stage}",
)
Thing("elsewhere", Options(replace_on_changes=["nested.a"]), no_opinion=True, nested={"a": 1, "b": stage})
Thing("by-provider", Options(replace_on_changes=["value"]), value=stage)
Thing("engine-update", no_opinion=True, value=stage)
Thing("engine-same", no_opinion=True, value=1)
