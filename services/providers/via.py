"""How a server is reached: straight or through a proxy, and which authorities vouch for it."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from urllib.parse import unquote

import httpx


@dataclass(frozen=True, slots=True)
class Via:
    """Connections are shared by those who say the same here.

    `proxy`: http://[user:password@]host:port, which tunnels with CONNECT; empty: straight. `ca_file`: a PEM file with
    the authorities to believe; empty: those of the system.
    """

    proxy: str = ""
    ca_file: str = ""

    def __post_init__(self) -> None:
        if self.proxy:
            try:
                url = httpx.URL(self.proxy)
            except httpx.InvalidURL:
                url = httpx.URL("")
            if url.scheme != "http" or not url.host:
                raise ValueError("proxy must be http://host:port")

    def __repr__(self) -> str:
        return f"Via(proxy={bool(self.proxy)}, ca_file={self.ca_file!r})"  # the proxy's password stays here

    @property
    def proxy_address(self) -> tuple[str, int]:
        """(host, port) of the proxy."""
        url = httpx.URL(self.proxy)
        return url.host, url.port or 80

    def connect_request(self, host: str, port: int) -> bytes:
        """What asks the proxy for a tunnel. https://www.rfc-editor.org/rfc/rfc9110#name-connect"""
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"host: {place}"]
        userinfo = httpx.URL(self.proxy).userinfo
        if userinfo:
            token = base64.b64encode(unquote(userinfo.decode()).encode()).decode()
            lines.append(f"proxy-authorization: Basic {token}")
        return "\r\n".join((*lines, "", "")).encode()

    def tls(self) -> ssl.SSLContext:
        """The context of TLS connections. Raises OSError for a file that is none."""
        return ssl.create_default_context(cafile=self.ca_file or None)


STRAIGHT = Via()
