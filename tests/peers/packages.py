"""A small package of each kind, as the servers of pip, npm and container images hold it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from base64 import b64encode
from pathlib import Path

from tests.peers.recorder import BYTES, HTML, JSON

Pages = dict[str, tuple[str, bytes]]
NAME = "hello"
SAYS = b"hello from the package\n"


def python_index() -> Pages:
    """A simple index (PEP 503) with one wheel, to which it links relatively."""
    wheel = f"{NAME}-1.0-py3-none-any.whl"
    link = f'<!DOCTYPE html><html><body><a href="../../files/{wheel}">{wheel}</a></body></html>'
    return {f"/simple/{NAME}/": (HTML, link.encode()), f"/files/{wheel}": (BYTES, _wheel())}


def npm_registry() -> Pages:
    """One package; its metadata names the tarball by an absolute URL of another host, as public registries do."""
    about = json.dumps({"name": NAME, "version": "1.0.0"}).encode()
    tarball = _tar({"package/package.json": about, "package/hi": SAYS})
    dist = {
        "tarball": f"https://registry.npmjs.org/{NAME}/-/{NAME}-1.0.0.tgz",
        "integrity": "sha512-" + b64encode(hashlib.sha512(tarball).digest()).decode(),
    }
    version = {"name": NAME, "version": "1.0.0", "dist": dist}
    document = {"name": NAME, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    return {f"/{NAME}": (JSON, json.dumps(document).encode()), f"/{NAME}/-/{NAME}-1.0.0.tgz": (BYTES, tarball)}


def image(folder: Path) -> Path:
    """An OCI image layout with one layer and the tag `1` (image-spec, image-layout.md)."""
    layer = _tar({"hi": SAYS})
    kind = "application/vnd.oci.image."
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer))]},
    }
    made = json.dumps(configuration).encode()
    manifest = {
        "schemaVersion": 2,
        "config": _blob(folder, f"{kind}config.v1+json", made),
        "layers": [_blob(folder, f"{kind}layer.v1.tar+gzip", layer)],
    }
    entry = _blob(folder, f"{kind}manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}), encoding="utf-8")
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return folder


def _blob(folder: Path, media_type: str, content: bytes) -> dict[str, object]:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    digest = _digest(content)
    (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _wheel() -> bytes:
    packed, about = io.BytesIO(), f"{NAME}-1.0.dist-info"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{NAME}.py", SAYS.join([b'"""', b'"""\n']))
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", f"{NAME}.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return packed.getvalue()
