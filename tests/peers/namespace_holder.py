"""Runs inside of a network and mount namespace and keeps it: sets it up, then makes sockets in it for a test outside.

It is started as a script, imports nothing of ours, and ends when its end of the Unix socket is closed, however the test
ends. A socket belongs to the namespace that it was made in: whoever holds it is there, wherever the process runs.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

FILES = {
    # "search .": without it, the machine's own domain would be tried behind each name.
    "/etc/resolv.conf": "nameserver 127.0.0.1\nsearch .\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
"""What glibc reads before it asks a name server; in the namespace it finds these."""
CACHES = ("/run/nscd", "/var/run/nscd")
"""Where a daemon outside of the namespace would answer for the name server."""


def main(descriptor: int, folder: Path, addresses: list[str]) -> None:
    """Set the namespace up, say so, and answer each `FAMILY KIND` with a socket."""
    # An IPv6 address of loopback is usable at once: nobody else could have it.
    lines = ["link set lo up", *(f"address add {address} dev lo" for address in addresses)]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    for place, text in FILES.items():
        own = folder / Path(place).name
        own.write_text(text, encoding="ascii")
        if Path(place).exists():
            subprocess.run(["mount", "--bind", str(own), place], check=True)
    for place in CACHES:
        if Path(place).is_dir():
            subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    with socket.socket(fileno=descriptor) as test:
        test.send(b"ready")
        while wanted := test.recv(100):
            family, kind = (int(word) for word in wanted.split())
            with socket.socket(family, kind) as made:
                socket.send_fds(test, [b"made"], [made.fileno()])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
