"""From a stack file to a spec, with flavors made up: which flavors a target has, and what is said otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrace import config
from terrace.errors import InputError, InputErrors, Location
from tests.unit.fake_flavors import FakeCatalog, flavor, load, stack, table

CATALOG = FakeCatalog(
    flavor("serving", "kserve", supports=("kubernetes",)),
    flavor("serving", "mlserver", supports=("host", "kubernetes"), options={"workers": 1}),
    flavor("serving", "seldon", supports=("kubernetes",)),
    flavor("storage", "folder"),
)
TIERS = table(
    serving={"from_tier": 1, "flavors": {"host": "mlserver", "kubernetes": "kserve"}},
    storage={"from_tier": 1, "flavors": {"host": "folder"}},
)


def messages(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputErrors) as caught:
        load(folder, text, CATALOG, TIERS)
    return [str(error) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("target", "given", "message"),
    [
        (
            "kubernetes",
            "kserv",
            "'kserv' is not a serving flavor; did you mean 'kserve'? "
            "(available on kubernetes: kserve, mlserver, seldon)",
        ),
        ("host", "kserve", "'kserve' is not on this target; did you mean 'mlserver'? (available on host: mlserver)"),
        ("aws", "kserve", "'kserve' is not on this target (available on aws: none)"),
        (
            "moon",
            "kserv",
            "'kserv' is not a serving flavor; did you mean 'kserve'? (available on moon: kserve, mlserver, seldon)",
        ),
    ],
)
def test_a_wrong_flavor_is_told_with_those_of_the_target(tmp_path: Path, target: str, given: str, message: str) -> None:
    told = messages(tmp_path, stack(f"serving: {{flavor: {given}}}", target=target))

    assert f"Pulumi.case.yaml:5:23: serving.flavor: {message}" in told


def test_the_written_flavor_decides_which_options_are_known(tmp_path: Path) -> None:
    loaded = load(tmp_path, stack("serving: {flavor: mlserver, workers: 2}", target="kubernetes"), CATALOG, TIERS)
    assert loaded.spec.slots["serving"].workers == 2

    assert messages(tmp_path, stack("serving: {workers: 2}", target="kubernetes")) == [
        "Pulumi.case.yaml:5:15: serving.workers: unknown key 'workers' (known: flavor)"
    ]


def test_an_unknown_target_is_the_only_error_where_options_depend_on_it(tmp_path: Path) -> None:
    told = messages(tmp_path, stack("serving: {workers: 2}", target="moon"))

    assert told == ["Pulumi.case.yaml:3:19: terrace:target: 'moon' is not allowed (allowed: host, kubernetes, aws)"]


def test_only_what_is_written_counts_as_set(tmp_path: Path) -> None:
    loaded = load(tmp_path, stack("serving: {workers: 1}"), CATALOG, TIERS)

    assert loaded.environment == "case"
    assert loaded.spec.slots["serving"].model_fields_set == {"flavor", "workers"}
    assert set(loaded.spec.slots) == {"serving"}


def test_passwords_in_addresses_are_not_repeated(tmp_path: Path) -> None:
    text = stack("network:\n  proxy: socks://ann:hunter2@proxy\n  package_index: {secure: hunter2}")

    told = messages(tmp_path, text)

    assert [message.rpartition(": it ")[0] for message in told] == [
        "Pulumi.case.yaml:6:14: network.proxy",
        "Pulumi.case.yaml:7:31: network.package_index.secure",
    ]
    assert "hunter2" not in "".join(told)


def test_an_unknown_environment_is_told_with_the_nearest_and_all(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    for name in ("local", "prod"):
        (tmp_path / "stacks" / f"Pulumi.{name}.yaml").write_text("config: {}\n")

    with pytest.raises(InputError) as caught:
        config.load(tmp_path, "locale")

    assert config.environments(tmp_path) == ("local", "prod")
    assert caught.value.what == "there is no environment 'locale'; did you mean 'local'?"
    assert caught.value.where == str(tmp_path / "stacks")
    assert caught.value.why == "there are: local, prod"
    assert caught.value.fix == "Make it: terrace new locale"


def test_a_folder_without_environments_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        config.load(tmp_path, "local")

    assert caught.value.why == "the folder has no Pulumi.<env>.yaml"


def test_a_file_is_named_as_from_the_project(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text("config:\n  terrace:tier: 1\n  terrace:target: 7\n")

    with pytest.raises(InputErrors) as caught:
        config.load(tmp_path, "local")

    assert caught.value.errors[0].where == Location("stacks/Pulumi.local.yaml", 3, 19)


@pytest.mark.parametrize("name", ["a b", "x;id", "Prod", "a.b", "production-europe", "", "../x", "1st"])
def test_a_name_that_no_user_or_folder_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of an environment"):
        config.load(tmp_path, name)


def test_a_running_platform_can_be_looked_at_whatever_else_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    file = tmp_path / "stacks" / "Pulumi.local.yaml"
    file.write_text(stack("engine: pulumi\nbackend: file:///srv\ntrackin: 3", tier=9))

    running = config.load_running(tmp_path, "local")

    assert (running.engine, running.backend) == ("pulumi", "file:///srv")
    file.write_text("config: []\n")
    assert config.load_running(tmp_path, "local").engine == "embedded"
    file.write_text(stack("engine: steam"))
    with pytest.raises(InputErrors, match="engine: 'steam' is not allowed"):
        config.load_running(tmp_path, "local")
