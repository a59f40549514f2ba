"""How the proxy reaches a server: the user's own certificates, and the user's own proxies."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Mapping
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from tracekit.collectors.proxy.upstream import Origin

# files that the clients of Python, curl and Node trust beside, or in place of, the system's
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    """What the user's clients trust, together: the system's authorities (or SSL_CERT_FILE), and theirs.

    A client that was told in its own code to trust another authority, or to show a certificate, cannot be stood
    in for; its calls fail with a message that says so. NODE_TLS_REJECT_UNAUTHORIZED=0 is obeyed.
    """
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not _has_authorities():
        _trust_certifi(context)
    for name in AUTHORITIES:
        path = environment.get(name)
        if path and os.path.exists(path):
            is_folder = os.path.isdir(path)
            with contextlib.suppress(OSError):  # nothing in it that could be trusted
                context.load_verify_locations(None if is_folder else path, path if is_folder else None)
    if environment.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def forward_proxy(origin: Origin) -> str | None:
    """The user's proxy on the way to a server, from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""
    proxies = getproxies_environment()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    if not proxy or proxy_bypass_environment(f"{origin.host}:{origin.port}", proxies):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _has_authorities() -> bool:
    """OpenSSL reads a folder of authorities when it meets a certificate, so that none are listed beforehand."""
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and os.listdir(paths.capath)))


def _trust_certifi(context: ssl.SSLContext) -> None:
    try:
        import certifi  # noqa: PLC0415  (a Python without authorities of its own, as on macOS)
    except ImportError:
        return
    context.load_verify_locations(certifi.where())
