"""New names, parents and types for resources that stay."""

import pulumi
from pulumi import Alias
from recorder import Group, Options, OtherThing, Thing, stage

if stage == 1:
    group = Group("group")
    Thing("group-child", Options(parent=group), value=1, label="child")
    Thing("renamed", value=1, label="renamed")
    Thing("moved", value=1, label="moved")
    Thing("typed", value=1, label="typed")
    dependency = Thing("dependency", value=1, label="dependency")
else:
    group = Group("new", Options(aliases=[Alias(name="group")]))
    Thing("new-child", Options(parent=group), value=1, label="child")
    Thing("new-name", Options(aliases=[Alias(name="renamed")]), value=stage, label="renamed")
    Thing("moved", Options(parent=group, aliases=[Alias(parent=pulumi.ROOT_STACK_RESOURCE)]), value=1, label="moved")
    OtherThing("typed", Options(aliases=[Alias(type_="pulumi-python:dynamic:Resource")]), value=1, label="typed")
    urn = f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::pulumi-python:dynamic:Resource::dependency"
    dependency = Thing("dependency-two", Options(aliases=[urn]), value=1, label="dependency")
Thing("user", value=dependency.made)
