"""The serve part's run: the application on a socket, until it is told to stop."""

import uvicorn

from kadr.serve.app import create_app
from kadr.serve.service import Service


def run(service: Service, host: str, port: int, token: str | None) -> None:
    """Serve until SIGINT or SIGTERM; open requests then have `Limits.stop_s` to end. See `check_address`."""
    uvicorn.run(
        create_app(service, token),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=service.limits.connections,
        timeout_graceful_shutdown=service.limits.stop_s,
    )
