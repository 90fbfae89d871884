"""A PostgreSQL server for the tests of MLflow and Prefect."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Run an empty PostgreSQL server on the loopback interface, and yield `kadr@HOST:PORT`.

    The server runs as the current user, or as the user postgres if the current user is root, which PostgreSQL rejects.
    The test is skipped if PostgreSQL is not installed.
    """
    debian = [str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin")]
    search_path = os.pathsep.join([os.environ["PATH"], *debian])
    initdb, pg_ctl = shutil.which("initdb", path=search_path), shutil.which("pg_ctl", path=search_path)
    if not (initdb and pg_ctl):
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgres") as folder, socket.socket() as free_socket:
        if user is not None:
            os.chown(folder, user, -1)
        free_socket.bind(("127.0.0.1", 0))
        host, port = free_socket.getsockname()
        free_socket.close()
        data, log = f"{folder}/data", f"{folder}/log"
        options = f"-c listen_addresses={host} -c port={port} -c unix_socket_directories= -c fsync=off"
        create = [initdb, "--no-sync", "--auth=trust", "--username=kadr", "--encoding=UTF8", data]
        subprocess.run(create, user=user, cwd=folder, check=True, capture_output=True)
        subprocess.run([pg_ctl, "-D", data, "-l", log, "-o", options, "-w", "start"], user=user, cwd=folder, check=True)
        try:
            yield f"kadr@{host}:{port}"
        finally:
            subprocess.run([pg_ctl, "-D", data, "-m", "fast", "stop"], user=user, cwd=folder, check=True)
