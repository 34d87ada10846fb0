"""Every proxy that this one is compared with, in the order of tables."""

from __future__ import annotations

from bench.peers.caddy import CADDY
from bench.peers.direct import DIRECT
from bench.peers.envoy import ENVOY
from bench.peers.haproxy import HAPROXY
from bench.peers.mitmproxy import MITMPROXY
from bench.peers.nginx import NGINX
from bench.peers.traefik import TRAEFIK
from bench.peers.unread import UNREAD

PEERS = (NGINX, HAPROXY, ENVOY, TRAEFIK, CADDY, MITMPROXY, UNREAD, DIRECT)
