from __future__ import annotations

from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import OPAQUE, SERVICE_ACCOUNT_TOKEN, Secret, SecretValue
from connectors.snapshot import TokenOwner, TokenOwners, token_digest


def token(name: str, value: bytes, account: str = "", kind: str = SERVICE_ACCOUNT_TOKEN) -> Secret:
    annotations = {"kubernetes.io/service-account.name": account} if account else {}
    metadata = ObjectMeta(name=name, namespace="team", annotations=annotations)
    return Secret(metadata, kind, {"token": SecretValue(value)})


def owner(owners: TokenOwners, value: bytes) -> str | None:
    found = owners.current().get(token_digest(value))
    return found.name if found else None


def put(owners: TokenOwners, secret: Secret) -> None:
    owners.set(secret.key, secret)


def test_tokens_come_and_go() -> None:
    owners, first = TokenOwners(), token("a", b"one", "builder")
    put(owners, first)
    assert owners.current() == {token_digest(b"one"): TokenOwner("team", "builder")}
    before = owners.current()
    put(owners, token("a", b"two"))
    assert (owner(owners, b"one"), owner(owners, b"two")) == (None, "a")
    assert token_digest(b"one") in before, "a value that was handed out stays"
    owners.set(first.key, None)
    owners.set(first.key, None)
    assert owners.current() == {}


def test_what_is_no_token_is_nobodys() -> None:
    owners = TokenOwners()
    for secret in (token("a", b""), token("b", b"x", kind=OPAQUE), Secret(ObjectMeta(name="c"), OPAQUE, {})):
        put(owners, secret)
    assert owners.current() == {}
    put(owners, token("a", b"x"))
    put(owners, token("a", b"x", kind=OPAQUE))
    assert owners.current() == {}


def test_of_two_secrets_with_one_token_the_first_by_name_counts() -> None:
    for order in ("ab", "ba"):
        owners = TokenOwners()
        for name in order:
            put(owners, token(name, b"same"))
        assert owner(owners, b"same") == "a"
        owners.set(token("a", b"").key, None)
        assert owner(owners, b"same") == "b"
