"""Which services connect to which ports."""

from __future__ import annotations

from dataclasses import replace

from terrace.edges import LINK, Listener, Node, listeners, name_among_all, on_host
from terrace.workload import Artifact, Metrics, Port, Route, Workload


def service(name: str, **about: tuple[object, ...]) -> Workload:
    return Workload(name, Artifact(), (), **about)  # type: ignore[arg-type]  # ports, routes, metrics


DATABASE = service("sql", ports=(Port("sql", 5000), Port("metrics", 5001)), metrics=(Metrics("metrics"),))
APP = service("app", ports=(Port("http", 6000),), routes=(Route("/app/", "http", auth="own"),))
ENTRANCE = service("door", ports=(Port("https", 443, public=True), Port("status", 444)))
OBSERVER = service("eye", ports=(Port("http", 9000),))


def callers(nodes: dict[str, Node]) -> dict[int, tuple[str, ...]]:
    return {listener.port: listener.callers for listener in listeners(nodes)}


NODES = {
    "gateway": Node((), (), (ENTRANCE,)),
    "monitoring": Node(("gateway",), (), (OBSERVER,)),
    "database": Node((), (5000,), (DATABASE,)),
    "tracking": Node(("database", "gateway"), (6000,), (APP,)),
}


def test_a_port_knows_its_service() -> None:
    assert listeners({"database": NODES["database"]}) == (
        Listener(5000, "sql", ("sql",)),
        Listener(5001, "sql", ("sql",)),
    )


def test_only_edges_are_open() -> None:
    assert callers(NODES) == {
        444: ("door",),
        5000: ("app", "sql"),
        5001: ("eye", "sql"),
        6000: ("app", "door"),
        9000: ("eye",),
    }


def test_the_portal_reaches_what_tells_of_health() -> None:
    portal = Node((), (), (service("page", ports=(Port("http", 7000),)),))
    assert callers({**NODES, "portal": portal}) == {**callers(NODES), 7000: ("page",)}
    database = replace(NODES["database"], probed=(5000,))
    assert callers({**NODES, "portal": portal, "database": database})[5000] == ("app", "page", "sql")


def test_an_entrance_is_open_to_everybody_and_thus_no_edge() -> None:
    assert 443 not in callers(NODES)


def test_what_outputs_name_is_reached_through_a_slot_that_runs_nothing() -> None:
    """A registry is the tracking server's; who needs the registry connects there, and not to its database."""
    model = service("model", ports=(Port("http", 8000),))
    nodes = {**NODES, "registry": Node(("tracking",), (6000,), ()), "serving": Node(("registry",), (), (model,))}
    assert callers(nodes)[6000] == ("app", "door", "model")
    assert callers(nodes)[5000] == ("app", "sql")


def test_a_slot_that_is_absent_opens_nothing() -> None:
    nodes = {"tracking": replace(NODES["tracking"], needs=("database", "absent"))}
    assert callers(nodes) == {6000: ("app",)}


def test_services_of_one_slot_do_not_reach_each_other() -> None:
    """A person's workbench has no business at the port that watches over the workbenches."""
    nodes = {"tracking": Node((), (), (APP, service("web", ports=(Port("http", 6001),))))}
    assert callers(nodes) == {6000: ("app",), 6001: ("web",)}


def test_on_several_hosts_links_carry_edges_and_are_the_callers() -> None:
    link = service(name_among_all(LINK, "store"), ports=(Port("status", 9100),), metrics=(Metrics("status"),))
    nodes = {**NODES, name_among_all(LINK, "store"): Node((), (), (link,))}
    homes = {"sql": "store", "app": "front", "door": "front", "eye": "eyes", name_among_all(LINK, "store"): "store"}
    store, front, eyes = (
        {each.port: each for each in on_host(listeners(nodes), host, homes)} for host in ("store", "front", "eyes")
    )
    assert store[5000] == Listener(5000, "sql", (LINK, "sql"), ("front",))
    assert store[5001] == Listener(5001, "sql", (LINK, "sql"), ("eyes",)), "monitoring's host alone"
    assert store[9100] == Listener(9100, LINK, (LINK,), ("eyes",)), "how the link is"
    assert front[5000] == Listener(5000, LINK, ("app", LINK)), "the link listens there, for who has the edge"
    assert front[5001] == Listener(5001, LINK, (LINK,)), "nobody there has that edge"
    assert front[6000] == Listener(6000, "app", ("app", "door")), "both ends are there, and no host else"
    assert eyes[5001] == Listener(5001, LINK, ("eye", LINK))


def test_on_one_host_there_is_nothing_else() -> None:
    found = listeners(NODES)
    assert on_host(found, "only", dict.fromkeys(("sql", "app", "door", "eye"), "only")) == found
