"""Run the application with the uvicorn web server."""

from typing import Any

import uvicorn

from kadr.serve.app import create_app
from kadr.serve.http_protocol import http_protocol
from kadr.serve.limits import Limits
from kadr.serve.service import Service


def run_server(service: Service, host: str, port: int, token: str | None) -> None:
    """Run the server until the process receives SIGINT or SIGTERM.

    After the signal, the server waits up to `Limits.shutdown_timeout_s` seconds for open requests.

    Args:
        service: service to expose over HTTP.
        host: host name or IP address to listen on. Check the host with `check_address` first.
        port: TCP port to listen on.
        token: access token, or None if only this machine can connect.
    """
    uvicorn.run(create_app(service, token), host=host, port=port, **server_options(service.limits))


def server_options(limits: Limits) -> dict[str, Any]:
    """Return the options of uvicorn, apart from the address.

    Args:
        limits: limits on connections and requests.
    """
    return {
        "http": http_protocol(limits),
        "ws": "none",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": limits.shutdown_timeout_s,
    }
