"""Which proxy a request goes through, by the variables that everybody uses.

``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in either case. The own machine is always reached
directly, as Go's programs do, the Collector among them: the default target is there.
https://about.gitlab.com/blog/we-need-to-talk-no-proxy/
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from sloburn.sdk.values import split_url


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """Return the address of the proxy for a target, empty for none.

    Raises:
        ValueError: There is one, of a kind that is not supported; the message shows no password.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if _is_local(host) or _is_excepted(host, parts.port, _variable(environ, "no_proxy")):
        return ""
    # A CGI script gets the client's "Proxy" header as HTTP_PROXY (httpoxy).
    plain = "" if "REQUEST_METHOD" in environ else environ.get("HTTP_PROXY", "")
    own = environ.get("http_proxy", "") or plain if parts.scheme == "http" else _variable(environ, "https_proxy")
    proxy = own or _variable(environ, "all_proxy")
    if not proxy:
        return ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    read = split_url(proxy)
    if read is None or not read.hostname:
        raise ValueError("the proxy's is not an address such as http://proxy.example:3128")
    if read.scheme != "http":
        raise ValueError(f"a proxy of the kind {read.scheme}:// is not supported, only http://")
    return proxy


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "") or environ.get(name.upper(), "")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    return any(_matches(part.strip().lower(), host, port) for part in exceptions.split(",") if part.strip())


def _matches(pattern: str, host: str, port: int | None) -> bool:
    if pattern == "*":
        return True
    try:
        return ip_address(host) in ip_network(pattern, strict=False)
    except ValueError:
        name, _, wanted_port = pattern.rpartition(":") if pattern.count(":") == 1 else (pattern, "", "")
        name = name.removeprefix("*").lstrip(".")
        is_host = host == name or host.endswith(f".{name}")
        return is_host and wanted_port in ("", str(port))
