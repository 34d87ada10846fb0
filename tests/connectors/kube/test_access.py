from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from connectors.kube.access import Access, AccessError, Endpoint, InCluster, choose_access, load

CANARY = "canary-secret"


def kubeconfig(path: Path, user: dict[str, Any], **changes: Any) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.test:6443/"}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump({key: value for key, value in (content | changes).items() if value is not None}))
    return path


def pod(folder: Path, token: str = "t1\n", ca: str = "PEM") -> InCluster:  # noqa: S107
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text(ca)
    return InCluster(folder / "token", folder / "ca.crt", "10.0.0.1", "443")


async def test_a_kubeconfig_with_a_token_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t1\n")
    connection = await load(Access(kubeconfig(tmp_path / "config", {"tokenFile": "token"})))
    assert connection.endpoint.host == "https://api.test:6443"
    assert connection.authorization == "Bearer t1"
    assert not connection.changed_on_disk()
    (tmp_path / "token").write_text("t2-longer\n")
    assert connection.changed_on_disk()


async def test_a_credential_plugin(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    answer = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}'
    plugin.write_text(f"#!/bin/sh\necho '{answer}'\n")
    plugin.chmod(0o700)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    connection = await load(Access(kubeconfig(tmp_path / "config", user)))
    assert connection.authorization == "Bearer from-plugin"


OIDC = {"auth-provider": {"name": "oidc", "config": {"refresh-token": CANARY}}}


async def test_t22_a_login_that_is_renewed_without_a_look_at_certificates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="auth-provider") as refused:
        await load(Access(kubeconfig(tmp_path / "config", OIDC)))
    assert CANARY not in str(refused.value)


async def test_t22_of_two_entries_of_a_name_the_first_counts_as_it_does_for_kubectl(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "first", OIDC)
    second = kubeconfig(
        tmp_path / "second", {"token": "t"}, contexts=[{"name": "here", "context": {"cluster": "c", "user": "else"}}]
    )
    with pytest.raises(AccessError, match="auth-provider"):
        await load(Access(first, (second,)))


async def test_a_name_that_is_none_is_said_not_raised(tmp_path: Path) -> None:
    contexts = [{"name": ["here"], "context": {"cluster": "c", "user": "u"}}]
    with pytest.raises(AccessError, match="cannot be used"):
        await load(Access(kubeconfig(tmp_path / "config", {"token": "t"}, contexts=contexts)))


async def test_another_users_login_does_not_matter(tmp_path: Path) -> None:
    users = [{"name": "else", "user": OIDC}, {"name": "u", "user": {"token": "t"}}]
    connection = await load(Access(kubeconfig(tmp_path / "config", {}, users=users)))
    assert connection.authorization == "Bearer t"


async def test_t27_a_user_part_in_the_servers_address_is_refused_and_not_quoted(tmp_path: Path) -> None:
    clusters = [{"name": "c", "cluster": {"server": f"https://me:{CANARY}@api.test"}}]
    with pytest.raises(AccessError, match="user part") as refused:
        await load(Access(kubeconfig(tmp_path / "config", {"token": "t"}, clusters=clusters)))
    assert CANARY not in str(refused.value)


async def test_several_kubeconfigs_are_one(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "first", {"token": "t"}, users=None)
    second = kubeconfig(tmp_path / "second", {"token": "t2"}, clusters=None, contexts=None)
    connection = await load(Access(first, (second,)))
    assert (connection.endpoint.host, connection.authorization) == ("https://api.test:6443", "Bearer t2")


async def test_the_pods_own_service_account(tmp_path: Path) -> None:
    connection = await load(Access(in_cluster=pod(tmp_path)))
    assert connection.endpoint.host == "https://10.0.0.1:443"
    assert connection.authorization == "Bearer t1"
    # As the kubelet does it: a new folder, and the link swapped.
    (tmp_path / "new").write_text("t2\n")
    (tmp_path / "new").replace(tmp_path / "token")
    assert connection.changed_on_disk()
    assert not connection.same_as(await load(Access(in_cluster=pod(tmp_path, "t2\n"))))


@pytest.mark.parametrize(
    ("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443"), ("", "")]
)
async def test_a_pod_is_told_by_its_environment_where_the_api_server_is(
    host: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    place = replace(pod(tmp_path), host="", port="")
    if not url:
        with pytest.raises(AccessError, match="KUBERNETES_SERVICE_HOST or _PORT is not set"):
            await load(Access(in_cluster=place))
        return
    endpoint = (await load(Access(in_cluster=place))).endpoint
    assert endpoint == Endpoint(url, str(tmp_path / "ca.crt"), b"PEM")


PROXY = "http://user:canary@proxy.corp:3128"


@pytest.mark.parametrize(
    ("host", "variables", "proxy"),
    [
        ("10.0.0.1", {}, ""),
        ("10.0.0.1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("10.0.0.1", {"https_proxy": PROXY}, PROXY),
        ("10.0.0.1", {"HTTPS_PROXY": PROXY, "https_proxy": "http://other"}, PROXY),
        ("10.0.0.1", {"HTTPS_PROXY": "proxy.corp:3128"}, "http://proxy.corp:3128"),
        ("10.0.0.1", {"HTTPS_PROXY": "https://proxy.corp"}, "https://proxy.corp"),
        # Of another scheme.
        ("10.0.0.1", {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, ""),
        ("10.0.0.1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, ""),
        ("10.0.0.1", {"HTTPS_PROXY": PROXY, "no_proxy": "example.com, 10.0.0.1:443"}, ""),
        ("10.0.0.1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.1:6443", "no_proxy": "*"}, PROXY),
        ("10.0.0.1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, ""),
        ("fd00::1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("fd00::1", {"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, ""),
        ("127.0.0.1", {"HTTPS_PROXY": PROXY}, ""),
        ("kubernetes.default.svc", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".svc"}, ""),
    ],
)
async def test_the_environment_names_a_proxy_as_for_kubectl(
    host: str, variables: dict[str, str], proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.setenv(name, variables.get(name, ""))
        monkeypatch.setenv(name.lower(), variables.get(name.lower(), ""))
    endpoint = (await load(Access(in_cluster=replace(pod(tmp_path), host=host)))).endpoint
    assert endpoint.proxy == proxy
    assert "canary" not in repr(endpoint)


async def test_t27_a_proxy_that_cannot_be_used_is_named_and_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:canary@proxy.corp")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(AccessError, match="HTTPS_PROXY is no http or https URL") as caught:
        await load(Access(in_cluster=pod(tmp_path)))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("server", ["api.test:6443", "https://api.test:99999", "https://[::1", "ftp://api.test"])
async def test_a_server_that_is_no_url_has_no_proxy(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    path = kubeconfig(tmp_path / "kubeconfig", {"token": "t"}, clusters=[{"name": "c", "cluster": {"server": server}}])
    assert (await load(Access(path))).endpoint.proxy == ""


async def test_a_kubeconfigs_proxy_goes_before_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "*")
    path = kubeconfig(tmp_path / "kubeconfig", {"token": "t"})
    assert (await load(Access(path))).endpoint.proxy == ""
    monkeypatch.setenv("NO_PROXY", "elsewhere")
    assert (await load(Access(path))).endpoint.proxy == PROXY
    content = yaml.safe_load(path.read_text())
    content["clusters"][0]["cluster"]["proxy-url"] = "http://named:1"
    path.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("NO_PROXY", "*")
    assert (await load(Access(path))).endpoint.proxy == "http://named:1"


async def test_a_pods_token_that_no_header_can_carry_is_not_quoted(tmp_path: Path) -> None:
    place = pod(tmp_path)
    (tmp_path / "token").write_bytes(CANARY.encode() + b"\xff")
    with pytest.raises(AccessError, match="no header can carry") as caught:
        await load(Access(in_cluster=place))
    assert CANARY not in str(caught.value)


def test_in_a_pod_kubernetes_asyncio_is_not_loaded(tmp_path: Path) -> None:
    """It takes 38 MiB of each process."""
    authority = trustme.CA().cert_pem.bytes().decode()
    program = f"""
import asyncio, sys
from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.access import InCluster
from pathlib import Path

async def main():
    client = KubeClient(Access(in_cluster={pod(tmp_path, ca=authority)!r}))
    await client.start()
    await client.close()

asyncio.run(main())
sys.exit("kubernetes_asyncio" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program.replace("PosixPath", "Path")], check=True, timeout=30)


async def test_all_that_a_kubeconfig_says_of_tls_and_the_way(tmp_path: Path) -> None:
    ca, leaf = trustme.CA(), trustme.CA().issue_cert("me")
    ca.cert_pem.write_to_path(tmp_path / "ca")
    cluster = {
        "server": "https://api.test:6443", "certificate-authority": "ca", "tls-server-name": "kubernetes",
        "proxy-url": f"http://me:{CANARY}@proxy.test", "insecure-skip-tls-verify": True,
    }  # fmt: skip
    data = {
        "client-certificate-data": b64encode(leaf.cert_chain_pems[0].bytes()).decode(),
        "client-key-data": b64encode(leaf.private_key_pem.bytes()).decode(),
    }
    path = kubeconfig(tmp_path / "config", data, clusters=[{"name": "c", "cluster": cluster}])
    found = (await load(Access(path))).endpoint
    assert (found.server_name, found.verify, found.proxy) == ("kubernetes", False, f"http://me:{CANARY}@proxy.test")
    assert (found.ca_file, found.authority) == (str(tmp_path / "ca"), ca.cert_pem.bytes())
    assert Path(found.certificate).read_bytes() == leaf.cert_chain_pems[0].bytes()
    assert Path(found.key).read_bytes() == leaf.private_key_pem.bytes()
    assert CANARY not in repr(found)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"current-context": None}, "has no current-context"),
        ({"current-context": "elsewhere"}, "cannot be used"),
        ({"clusters": []}, "cannot be used"),
        ({"contexts": [{"name": "here", "context": {"cluster": "c"}, "user": CANARY}], "clusters": None}, "cannot be"),
        ({"users": [{"user": {"token": CANARY}}]}, "cannot be used"),
        ({"users": [{"name": "u", "user": {"token": f"{CANARY}\n{CANARY}"}}]}, "no header can carry"),
        ({"users": [{"name": "u", "user": {"exec": {"command": CANARY}}}]}, "cannot be used"),
        ({"users": CANARY}, "cannot be used"),
    ],
)
async def test_a_bad_kubeconfig_is_named_and_not_quoted(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = kubeconfig(tmp_path / "config", {"token": CANARY}, **changes)
    with pytest.raises(AccessError, match=says) as caught:
        await load(Access(path))
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: [canary-secret", "is not YAML, at line 1"),
        (b"- canary-secret", "holds no mapping"),
        (b"\xff\xfecanary-secret", "is not UTF-8"),
        (b"a: \x00canary-secret", "is not YAML"),
        (None, "cannot be read: No such file"),
    ],
)
async def test_a_file_that_is_no_kubeconfig(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AccessError, match=says) as caught:
        await load(Access(path))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("lacking", ["token", "ca.crt"])
async def test_what_a_pod_lacks_is_named(tmp_path: Path, lacking: str) -> None:
    place = pod(tmp_path)
    (tmp_path / lacking).unlink()
    with pytest.raises(AccessError, match=f"{lacking} missing or empty"):
        await load(Access(in_cluster=place))


async def test_a_connection_shows_no_credential(tmp_path: Path) -> None:
    connection = await load(Access(kubeconfig(tmp_path / "config", {"token": CANARY})))
    assert CANARY not in repr(connection)


def test_the_flag_wins_then_the_pod_then_the_environment(tmp_path: Path) -> None:
    nowhere = InCluster(tmp_path / "no-token", tmp_path / "no-ca")
    first, second = (kubeconfig(tmp_path / name, {}) for name in ("first", "second"))
    listed = os.pathsep.join(["", str(tmp_path / "absent"), str(first), str(second)])
    assert choose_access("flag", listed, nowhere).kubeconfigs == (Path("flag"),)
    assert choose_access("", listed, pod(tmp_path)).kubeconfigs == ()
    assert choose_access("", listed, nowhere).kubeconfigs == (first, second)


@pytest.mark.parametrize(("environment", "says"), [("", "is not set"), ("/absent/config", "names no file that exists")])
def test_without_any_of_them_the_message_names_all(tmp_path: Path, environment: str, says: str) -> None:
    with pytest.raises(AccessError, match=says) as caught:
        choose_access("", environment, InCluster(tmp_path / "no-token"))
    assert "--kubeconfig" in str(caught.value)
    assert str(tmp_path / "no-token") in str(caught.value)
