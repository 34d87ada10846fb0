"""A certificate and its key as files that change."""

from __future__ import annotations

from pathlib import Path

from connectors.objects.secret import KeyPair


class Volume:
    """A Secret as the kubelet mounts it: files are links through `..data`, which is exchanged as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir()

    @property
    def certificate(self) -> Path:
        """The chain's file."""
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        """The private key's file."""
        return self.folder / "tls.key"

    def put(self, pair: KeyPair) -> None:
        """Exchange both at once."""
        self._count += 1
        version = self.folder / f"..{self._count}"
        version.mkdir()
        (version / self.certificate.name).write_bytes(pair.chain)
        (version / self.key.name).write_bytes(pair.key.reveal())
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.folder / "..data")
        for path in (self.certificate, self.key):
            if not path.is_symlink():
                path.symlink_to(f"..data/{path.name}")
