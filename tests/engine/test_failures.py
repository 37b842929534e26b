"""What stays in the state, and what must go, when something fails or is replaced."""

from __future__ import annotations

from tests.engine.engine_world import World


def test_what_fell_with_a_replaced_resource_and_is_not_wanted_any_more_is_forgotten(world: World) -> None:
    world.write(
        """
        root = Thing("root", Options(delete_before_replace=True), fixed=stage, value=stage)
        if stage == 1:
            Thing("falls", fixed=root.made)
        """
    )
    assert world.run("up", 1).ok
    assert world.run("up", 2).ok
    assert world.things() == ["root"]
    assert [raw["urn"] for raw in world.state() if raw.get("id") == "falls"] == []


def test_what_a_skipped_resource_needed_stays(world: World) -> None:
    world.write(
        """
        fails = Thing("fails", value=stage, fail=["update"] if stage == 2 else [])
        needed = [Thing("needed", value=1)] if stage == 1 else []
        Thing("skipped", Options(depends_on=[fails, *needed]), value=1)
        """
    )
    assert world.run("up", 1).ok
    assert not world.run("up", 2, continue_on_error=True).ok
    assert world.things() == ["fails", "needed", "skipped"]
    assert world.run("up", 3).ok
    assert world.things() == ["fails", "skipped"]


def test_what_a_resource_needed_that_could_not_be_updated_stays(world: World) -> None:
    world.write(
        """
        needed = [Thing("needed", value=1)] if stage == 1 else []
        Thing("fails", Options(depends_on=needed), value=stage, fail=["update"] if stage == 2 else [])
        """
    )
    assert world.run("up", 1).ok
    assert not world.run("up", 2, continue_on_error=True).ok
    assert world.things() == ["fails", "needed"]
    assert world.run("up", 3).ok
    assert world.things() == ["fails"]


def test_what_a_program_that_raises_did_not_come_to_is_not_deleted(world: World) -> None:
    world.write(
        """
        Thing("before", value=1)
        if stage == 2 and not pulumi.runtime.is_dry_run():
            raise ValueError("no")
        Thing("after", value=1)
        """
    )
    assert world.run("up", 1).ok
    assert not world.run("up", 2, continue_on_error=True).ok
    assert world.things() == ["after", "before"]


def test_what_falls_under_its_old_name_is_made_again_once_it_is_deleted(world: World) -> None:
    world.write(
        """
        class Slow(Recorder):
            def delete(self, identifier, props):
                import time
                time.sleep(0.5)
                Recorder.delete(self, identifier, props)

            def update(self, identifier, olds, news):
                import time
                time.sleep(0.2)
                return Recorder.update(self, identifier, olds, news)

        gate = Custom("gate", Slow(), value=stage)
        root = Thing("root", Options(delete_before_replace=True), fixed=stage, value=1)
        if stage == 1:
            Custom("old", Slow(), fixed=root.made)
        else:
            # It comes when the deletion has begun, for which it needn't wait by itself.
            options = Options(aliases=[pulumi.Alias(name="old")], depends_on=[gate])
            Custom("new", Slow(), options, label="old", fixed=stage)
        """
    )
    assert world.run("up", 1).ok
    assert world.run("up", 2).ok
    assert [method for method, label in world.calls() if label == "old"] == ["create", "delete", "create"]
    assert world.things() == ["gate", "old", "root"]
    assert world.run("up", 2).summary == {"same": 4}


def test_what_was_seen_under_its_new_name_does_not_fall(world: World) -> None:
    world.write(
        """
        if stage == 1:
            root = Thing("root", Options(delete_before_replace=True), fixed=stage, value="wood")
            Thing("old", fixed=root.made)
        else:
            new = Thing("new", Options(aliases=[pulumi.Alias(name="old")]), label="old", fixed="made of wood")
            Thing("root", Options(delete_before_replace=True, depends_on=[new]), fixed=stage, value="wood")
        """
    )
    assert world.run("up", 1).ok
    assert world.run("up", 2).ok
    assert ("delete", "old") not in world.calls()
    assert world.things() == ["old", "root"]
    assert world.run("up", 2).summary == {"same": 3}
