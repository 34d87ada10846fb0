from __future__ import annotations

import pytest

from connectors.credentials.credential import CredentialError, Owned
from connectors.credentials.generated import Generated
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.reasons import ConditionReason
from tests.builders import auth_type, connector, connector_class, secret

GITLAB_HEADERS = [
    {"name": "PRIVATE-TOKEN", "value": "{{ .Secret.StringData.token }}"},
    {"name": "Authorization", "value": 'Basic {{ printf "oauth2:%s" .Secret.StringData.token | b64enc }}'},
]
GITLAB = auth_type(generator={"headers": GITLAB_HEADERS})
KEY_IN_QUERY = auth_type(generator={"query": [{"name": "api_key", "value": "{{ .Secret.StringData.key }}"}]})


def test_headers_are_rendered_over_the_secret() -> None:
    made = Generated().credential(GITLAB, secret(token=b"t0k"))
    assert [(name, value.reveal()) for name, value in made.headers] == [
        (b"PRIVATE-TOKEN", b"t0k"),
        (b"Authorization", b"Basic b2F1dGgyOnQwaw=="),
    ]


def test_query_parameters_are_rendered_over_the_secret() -> None:
    made = Generated().credential(KEY_IN_QUERY, secret(key=b"a b\n"))
    assert [(name, value.reveal()) for name, value in made.query] == [(b"api_key", b"a b\n")]


def test_templates_see_the_connector_and_its_class_too() -> None:
    kind = auth_type(
        generator={
            "headers": [
                {"name": "X-Tenant", "value": "{{ .Connector.Namespace }}/{{ .ConnectorClass.Name }}"},
                {
                    "name": "X-Key",
                    "value": '{{ if eq .Secret.Type "Opaque" }}{{ .secret.stringData.key | upper }}{{ end }}',
                },
            ]
        }
    )
    about = Subject(connector(namespace="team-a"), connector_class("tickets"))
    made = Generated().credential(kind, secret(key=b"k"), about)
    assert [value.reveal() for _, value in made.headers] == [b"team-a/tickets", b"K"]


def test_a_template_that_cannot_be_rendered_says_where() -> None:
    kind = auth_type(generator={"headers": [{"name": "X-A", "value": "{{ b64dec .Secret.StringData.key }}"}]})
    with pytest.raises(CredentialError, match="X-A cannot be made of Secret login: line 1, column 4: b64dec") as caught:
        Generated().credential(kind, secret(key=b"canary"))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message


def test_a_header_that_renders_empty_is_left_out() -> None:
    made = Generated().credential(GITLAB, secret(token=b" "))
    assert [name for name, _ in made.headers] == [b"Authorization"]


@pytest.mark.parametrize("token", [b"canary\r", b"can\nary", b"can\x00ary", b"canary\n\n"])
def test_t40_a_control_character_is_seen_in_base64_too(token: bytes) -> None:
    kind = auth_type(generator={"headers": GITLAB_HEADERS[1:]})
    with pytest.raises(CredentialError, match="key token of Secret login holds a") as caught:
        Generated().credential(kind, secret(token=token))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message


def test_t40_a_colon_in_a_user_name_is_seen_and_in_a_password_it_may_stand() -> None:
    login = 'Basic {{ printf "%s:%s" .Secret.StringData.user .Secret.StringData.key | b64enc }}'
    kind = auth_type(generator={"headers": [{"name": "Authorization", "value": login}]})
    with pytest.raises(CredentialError, match="key user of Secret login holds a colon"):
        Generated().credential(kind, secret(user=b"canary:x", key=b"p"))
    assert Generated().credential(kind, secret(user=b"u", key=b"a:b")).headers


def test_what_the_class_takes_care_of_is_left_to_it() -> None:
    fields = [
        {"name": "X-Certificate", "value": "{{ .Secret.StringData.pem | b64enc }}"},
        {"name": "X-Lines", "value": '{{ .Secret.StringData.pem | replace "\\n" "," }}'},
        {"name": "Authorization", "value": "basic whatever"},
    ]
    made = Generated().credential(auth_type(generator={"headers": fields}), secret(pem=b"a\nb"))
    assert [value.reveal() for _, value in made.headers] == [b"YQpi", b"a,b", b"basic whatever"]


def test_a_missing_key_is_named() -> None:
    with pytest.raises(CredentialError, match="token") as caught:
        Generated().credential(GITLAB, secret(other=b"canary"))
    assert caught.value.reason is ConditionReason.SECRET_KEY_MISSING
    assert "canary" not in caught.value.message


def test_a_value_cannot_add_a_header() -> None:
    with pytest.raises(CredentialError) as caught:
        Generated().credential(GITLAB, secret(token=b"canary\r\nX-Admin: 1"))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("kind", [GITLAB, KEY_IN_QUERY], ids=["header", "query"])
def test_a_value_that_no_tool_would_take(kind: AuthType) -> None:
    with pytest.raises(CredentialError, match="longer than 16384 bytes") as caught:
        Generated().credential(kind, secret(token=b"x" * 20_000, key=b"x" * 20_000))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID


def test_it_owns_what_it_writes_in_any_spelling() -> None:
    assert Generated().owned(GITLAB) == Owned(headers=frozenset({b"private-token", b"authorization"}))
    assert Generated().owned(KEY_IN_QUERY) == Owned(query=frozenset({b"api_key"}))
    assert Generated().owned(auth_type()) == Owned()
