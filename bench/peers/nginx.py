"""nginx (Debian), which every ratio is taken against."""

from __future__ import annotations

from contextlib import AsyncExitStack

from bench.peers.peer import AUTHORIZATION, KEPT, PREFIX, Peer, Running, Site, found, on_path, said
from tests.peers.nginx import start_nginx

PROGRAM = on_path("nginx")
HTTP = """
    upstream tool {{ server 127.0.0.1:{port}; keepalive {kept}; keepalive_requests 1000000000; keepalive_timeout 1h; }}
"""
SERVER = """
    {log}
    keepalive_requests 1000000000;
    ssl_protocols TLSv1.2 TLSv1.3;  # its default of then is TLSv1.2 at most: all shall speak the same
    location {path} {{
        proxy_pass {scheme}://tool{uri};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization "{authorization}";
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_buffer_size 64k;  # with its default of 4k it is three times slower on large bodies
        proxy_buffers 16 64k;
        client_max_body_size 0;
        {upstream_tls}
    }}
"""
UPSTREAM_TLS = """
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
        proxy_ssl_server_name on;
        proxy_ssl_name localhost;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {authority};
"""


async def start(exits: AsyncExitStack, site: Site) -> Running:
    """One worker. Its access log, where one is wanted, is that of its defaults: one line a request, to a file."""
    path, uri = (f"{PREFIX}/", "/") if site.setup.path_form else ("/", "")
    server = SERVER.format(
        log="" if site.setup.access_log else "access_log off;",
        path=path,
        uri=uri,
        scheme="https" if site.tool_tls else "http",
        authorization=AUTHORIZATION,
        upstream_tls=UPSTREAM_TLS.format(authority=site.authority) if site.tool_tls else "",
    )
    nginx = await start_nginx(site.folder, server, http=HTTP.format(port=site.tool_port, kept=KEPT), tls=site.listener)
    exits.push_async_callback(nginx.child.stop)
    worker = int((await nginx.child.line(r"start worker process (\d+)"))[1])
    return Running(site.url(nginx.port), worker)


NGINX = Peer("nginx", start, PROGRAM, "Debian: nginx", lambda: said([found(PROGRAM), "-v"], r"nginx/(\S+)"))
