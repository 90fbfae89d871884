"""Run the application with uvicorn."""

import uvicorn

from kadr.serve.app import create_app
from kadr.serve.service import Service


def run_server(service: Service, host: str, port: int, token: str | None) -> None:
    """Serve until SIGINT or SIGTERM.

    After the signal, open requests have `Limits.shutdown_timeout_s` seconds to finish.

    Args:
        service: the service to expose over HTTP.
        host: address to listen on, already checked with `check_address`.
        port: TCP port.
        token: access token, or None for a server that only this machine can use.
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
