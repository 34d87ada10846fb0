from __future__ import annotations

from datetime import UTC, datetime

from connectors.objects.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    ConnectorClassStatus,
    ConnectorStatus,
    HttpAddress,
    ProxyStatus,
)
from standalone.objects import connector_class_object, connector_object
from standalone.table import classes_table, connectors_table
from tests.standalone.builders import git, repo

NOW = datetime(2024, 10, 16, 2, 32, 44, tzinfo=UTC)
READY = Condition(type=ConditionType.READY, status=ConditionStatus.TRUE)
FAILED = Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, reason="SecretNotFound")
ITEMS = [
    connector_object(
        repo(), ConnectorStatus(conditions=(READY,), proxy=ProxyStatus(http_address=HttpAddress(url="http://p")))
    ),
    connector_object(repo("longer-name", "team"), ConnectorStatus(conditions=(FAILED,))),
]


def test_connectors() -> None:
    assert connectors_table(ITEMS, NOW, namespaces=False) == (
        "NAME          CLASS   ADDRESS                READY   REASON           PROXY      AGE\n"
        "repo          git     https://tool.example   True                     http://p   5m\n"
        "longer-name   git     https://tool.example   False   SecretNotFound              5m\n"
    )


def test_namespaces_come_first() -> None:
    lines = connectors_table(ITEMS, NOW, namespaces=True).splitlines()
    assert [line.split()[:2] for line in lines] == [["NAMESPACE", "NAME"], ["default", "repo"], ["team", "longer-name"]]


def test_classes() -> None:
    items = [connector_class_object(git(), ConnectorClassStatus(conditions=(READY,)))]
    assert classes_table(items, NOW) == "NAME   READY   REASON   AGE\ngit    True             5m\n"


def test_an_object_without_conditions() -> None:
    table = connectors_table([connector_object(repo(), ConnectorStatus())], NOW, namespaces=False)
    assert table.splitlines()[1].split() == ["repo", "git", "https://tool.example", "5m"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    item = connector_object(repo(address="https://a\x1b[31m\nb"), ConnectorStatus())
    table = connectors_table([item], NOW, namespaces=False)
    assert "\x1b" not in table
    assert len(table.splitlines()) == 2
