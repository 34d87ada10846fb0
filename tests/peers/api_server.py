"""A real kube-apiserver with its etcd, in a folder of its own: no kubelet, no scheduler, no controller manager.

So nobody makes default ServiceAccounts, collects garbage, or finishes the deletion of a namespace. RBAC is on, and
ServiceAccounts get tokens by TokenRequest. All methods block: call them through asyncio.to_thread in an async test.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.peers.ports import bound

Json = dict[str, Any]

ADMIN_TOKEN = "admin-of-a-test"
START_SECONDS = 60.0
"""How long a busy machine may take; two seconds are usual."""
START_ATTEMPTS = 3
"""A port that the kernel chose can be taken by somebody else before the server listens on it."""
POLL_SECONDS = 0.05
STOP_SECONDS = 20.0
KEPT_SECONDS = 30.0
"""How long a connection is used again; kube-apiserver closes it after 90 seconds without a request."""


class ApiServerError(Exception):
    """A process did not start, or a request failed; the message holds the last output or the server's answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The API server's answer."""

    status: int
    body: Json


class ApiServer:
    """etcd and kube-apiserver, started by `with`; `kubeconfig` is the admin's.

    `flags` are added to kube-apiserver's, for example `--watch-cache=false`, which makes `compact` end old watches.
    """

    def __init__(self, assets: Path, folder: Path, flags: Sequence[str] = ()) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self.port = 0
        self._assets = assets
        self._flags = tuple(flags)
        self._etcd_port = 0
        self._etcd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._kept: list[tuple[http.client.HTTPSConnection, float]] = []
        self._authority = trustme.CA()
        self.context = ssl.create_default_context(cadata=self._authority.cert_pem.bytes().decode())

    @property
    def url(self) -> str:
        """Without a path, `https://127.0.0.1:PORT`; the certificate also names `localhost`."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_pem(self) -> str:
        """The authority that signed the server's certificate."""
        return self._authority.cert_pem.bytes().decode()

    def __enter__(self) -> Self:
        self._write_files()
        try:
            self._first_start()
        except BaseException:
            self.close()
            raise
        self.write_kubeconfig(self.kubeconfig, ADMIN_TOKEN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End both processes; nothing is kept that anybody could need."""
        self.stop_api_server()
        if self._etcd:
            _end(self._etcd, signal.SIGKILL)
            self._etcd = None

    def stop_api_server(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill kube-apiserver; etcd keeps its data. Connections are cut, then refused."""
        if self._server:
            _end(self._server, how)
            self._server = None
        while self._kept:
            self._kept.pop()[0].close()

    def start_api_server(self) -> None:
        """Start kube-apiserver again on the port it had, and wait until it is ready.

        Raises:
            ApiServerError: it ended, or was not ready in time.
        """
        if self._server:
            return
        command = [
            str(self._assets / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--tls-cert-file={self.folder / 'server.crt'}",
            f"--tls-private-key-file={self.folder / 'server.key'}",
            f"--cert-dir={self.folder / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'sa.key'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",  # it wants default ServiceAccounts, which nobody makes
            *self._flags,
        ]
        self._server = self._spawn("kube-apiserver", command)
        self._wait_ready(self._server)

    def compact(self) -> None:
        """Drop etcd's history: with `--watch-cache=false`, a watch from any version read before gets 410.

        With the watch cache, old versions are served from memory; a restart of kube-apiserver empties that.
        """
        # Twice, since a watch from version N needs revision N + 1, and compacting keeps the revision it names.
        key = base64.b64encode(b"/written-by-a-test").decode()
        written = [self._ask_etcd("/v3/kv/put", {"key": key}) for _ in range(2)]
        self._ask_etcd("/v3/kv/compaction", {"revision": written[-1]["header"]["revision"], "physical": True})

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: str = ADMIN_TOKEN) -> Answer:
        """One request, as the admin unless another token is given. A PATCH is a merge patch.

        Raises:
            OSError: there is no server, or not yet.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        content = json.dumps(body) if body is not None else None
        with self._connection() as connection:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read().decode()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(response.status, json.loads(text) if is_json else {"text": text})

    def must(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: str = ADMIN_TOKEN) -> Json:
        """As `ask`, for what cannot fail.

        Raises:
            ApiServerError: the answer is not 2xx.
        """
        answer = self.ask(method, path, body, token)
        if answer.status >= 300:
            raise ApiServerError(f"{method} {path}: {answer.status}: {answer.body.get('message', answer.body)}")
        return answer.body

    def create_namespace(self, name: str) -> None:
        """A namespace without anything in it."""
        self.must("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def service_account_token(self, namespace: str, name: str, audiences: Sequence[str] = ()) -> str:
        """A fresh token of a ServiceAccount, which is made if it is not there; audience: the API server's own."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.ask("POST", accounts, {"metadata": {"name": name}})
        spec = {"audiences": list(audiences)} if audiences else {}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        token: str = self.must("POST", f"{accounts}/{name}/token", body)["status"]["token"]
        return token

    def write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> Path:
        """A kubeconfig for the bearer of `token`."""
        authority = base64.b64encode(self._authority.cert_pem.bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        }
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPSConnection]:
        """One that is kept from the request before, else a new one: a handshake costs both ends a millisecond."""
        connection, since = None, 0.0
        # Another thread may take the last one meanwhile; to pop is one step.
        with suppress(IndexError):
            connection, since = self._kept.pop()
        if connection is None or time.monotonic() - since > KEPT_SECONDS:
            if connection:
                connection.close()
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._kept.append((connection, time.monotonic()))

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        leaf = self._authority.issue_cert("127.0.0.1", "localhost")
        leaf.private_key_pem.write_to_path(str(self.folder / "server.key"))
        (self.folder / "server.crt").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key = ec.generate_private_key(ec.SECP256R1())
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        (self.folder / "sa.key").write_bytes(key.private_bytes(*pem))
        (self.folder / "tokens.csv").write_text(f"{ADMIN_TOKEN},admin,1,system:masters\n", encoding="utf-8")

    def _first_start(self) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            self._etcd_port, peer_port, self.port = _free_ports(3)
            try:
                self._start_etcd(peer_port)
                self.start_api_server()
            except ApiServerError:
                self.close()
                if attempt == START_ATTEMPTS:
                    raise
            else:
                return

    def _start_etcd(self, peer_port: int) -> None:
        client = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{peer_port}"
        command = [
            str(self._assets / "etcd"),
            *("--data-dir", str(self.folder / f"etcd-{self._etcd_port}")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *(
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ),
        ]
        self._etcd = self._spawn("etcd", command)

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C is for pytest, which then ends the servers in order.
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and process.poll() is None:
            with suppress(OSError, http.client.HTTPException):
                # The second question: RBAC's own roles are made after /readyz has said yes.
                ready = self.ask("GET", "/readyz").status == 200
                if ready and self.ask("GET", "/api/v1/namespaces/default").status == 200:
                    return
            time.sleep(POLL_SECONDS)
        state = "ended" if process.poll() is not None else "is not ready"
        raise ApiServerError(f"kube-apiserver {state}: {self._last_words()}")

    def _last_words(self) -> str:
        logs = (self.folder / f"{name}.log" for name in ("etcd", "kube-apiserver"))
        return "\n".join(log.read_text(encoding="utf-8", errors="replace")[-2000:] for log in logs if log.exists())

    def _ask_etcd(self, path: str, body: Mapping[str, Any]) -> Json:
        connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=30)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            answer: Json = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ApiServerError(f"etcd: {path}: {answer}")
        return answer


def assets_folder() -> Path | None:
    """Where kube-apiserver and etcd are: KUBEBUILDER_ASSETS, as everywhere; None where they are not."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent")
    return folder if all((folder / name).is_file() for name in ("kube-apiserver", "etcd")) else None


def _free_ports(count: int) -> list[int]:
    free = [bound("127.0.0.1")[0] for _ in range(count)]
    ports: list[int] = [taken.getsockname()[1] for taken in free]
    for taken in free:
        taken.close()
    return ports


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
