"""Run the application with the uvicorn web server."""

import uvicorn

from kadr.serve.app import create_app
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
    uvicorn.run(
        create_app(service, token),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=service.limits.max_connections,
        timeout_graceful_shutdown=service.limits.shutdown_timeout_s,
    )
