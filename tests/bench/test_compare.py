from __future__ import annotations

from bench.compare import BASE, lacking, quick_table
from bench.peers.nginx import NGINX
from bench.peers.ours import ours
from bench.results import Results, Sample
from bench.scenarios import chosen


def test_two_trees_beside_nginx() -> None:
    results = Results()
    for name, cpu, large in (("nginx", 20e-6, 0.4), (BASE, 100e-6, 0.5), ("Connectors", 25e-6, 0.2)):
        results.add("small-32", name, Sample(cpu, 1000.0))
        results.add("down", name, Sample(large, 2.0))
    results.fail("Connectors", "failed in token: 401")
    table = quick_table(chosen(["small-32", "down", "token"]), [NGINX, ours(BASE), ours()], results)
    assert [line.split() for line in table.splitlines()[:4]] == [
        ["scenario", "nginx", "base", "ratio", "Connectors", "ratio", "target"],
        ["small-32", "20.0", "100.0", "0.20", "25.0", "0.80", "0.85"],
        ["token", "-", "-", "-", "-", "-", "0.75"],
        ["down", "400.0", "500.0", "0.80", "200.0", "2.00", "1.70"],
    ]
    assert table.endswith("Connectors failed in token: 401")


def test_what_the_machine_lacks_is_named() -> None:
    assert lacking("python-of-no-machine", "sh") == (
        "missing: python-of-no-machine; apt-get install python-of-no-machine"
    )
    assert lacking("sh") == ""
