"""Measure start time, memory and requests per second of `kadr serve` with 1, 8 and 64 connections.

The benchmark starts a server in a project folder on a free local port and prints a JSON object. All queries are sent
once before the measurement, so their encodings are cached. Requests to /health do no work, so their rate is the limit
of the HTTP server. `times_health` is the rate of health requests divided by the rate of searches. `times_one` is the
speed-up over one connection, which comes from batching. `cpu_ms` is the server's processor time per request, which
other programs affect less than the elapsed time.

    python benchmarks/serve.py --folder .      # at most two minutes; the project needs an index
"""

import argparse
import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import numpy as np

CONNECTIONS = (1, 8, 64)
SUBJECTS = ("a dog", "two children", "a man in red", "a woman", "people", "a boy", "a bird", "a horse")
SETTINGS = (
    "in the snow",
    "on a beach",
    "in the street",
    "on the grass",
    "near water",
    "at night",
    "on a bicycle",
    "jumping",
)
QUERIES = tuple(f"{subject} {setting}" for subject in SUBJECTS for setting in SETTINGS)
N_RESULTS = 20
START_TIMEOUT_S = 300


@contextmanager
def run_server(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run `kadr serve` in a folder and yield its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from kadr.cli.main import app; app()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), "--ratings", os.devnull]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()


async def measure_start(session: aiohttp.ClientSession, address: str, process: "subprocess.Popen[bytes]") -> float:
    """Return the time in seconds until the server first responds."""
    start = time.perf_counter()
    while process.poll() is None and time.perf_counter() - start < START_TIMEOUT_S:
        try:
            async with session.get(f"{address}/health") as response:
                response.raise_for_status()
                return time.perf_counter() - start
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)
    raise SystemExit(f"The server exited or did not respond within {START_TIMEOUT_S} s. Run `kadr serve` to see why.")


async def measure_load(
    session: aiohttp.ClientSession,
    address: str,
    pid: int,
    *,
    connections: int,
    n: int,
    seconds: float,
    search: bool,
) -> dict[str, float]:
    """Send requests over parallel connections and measure their rate and duration.

    Args:
        session: HTTP client.
        address: Address of the server.
        pid: Process ID of the server.
        connections: Number of parallel connections.
        n: Maximum number of requests.
        seconds: Maximum duration of the measurement, in seconds.
        search: Whether to send searches instead of health requests.

    Returns:
        Requests per second, duration percentiles and processor time in ms, and numbers of requests and failures.
    """
    queries = itertools.islice(itertools.cycle(QUERIES), n)
    durations: list[float] = []
    n_failed, cpu_start = 0, cpu_seconds(pid)
    start = time.perf_counter()

    async def send_requests() -> None:
        nonlocal n_failed
        for query in queries:
            if time.perf_counter() - start > seconds:
                return
            sent = time.perf_counter()
            request = (
                session.post(f"{address}/search", json={"text": query, "k": N_RESULTS})
                if search
                else session.get(f"{address}/health")
            )
            async with request as response:
                await response.read()
                n_failed += response.status != 200
            durations.append(time.perf_counter() - sent)

    await asyncio.gather(*(send_requests() for _ in range(connections)))
    rate = len(durations) / (time.perf_counter() - start)
    p50, p99 = np.percentile(np.array(durations) * 1000, [50, 99])
    cpu_ms = 1000 * (cpu_seconds(pid) - cpu_start) / len(durations)
    results = {"per_s": rate, "p50_ms": p50, "p99_ms": p99, "cpu_ms": cpu_ms}
    counts = {"n": len(durations), "failed": n_failed}
    return {name: round(float(value), 1) for name, value in results.items()} | counts


async def measure_server(address: str, process: "subprocess.Popen[bytes]", n: int, seconds: float) -> dict[str, object]:
    """Measure the start time, health requests, and searches over each number of connections."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=max(CONNECTIONS))) as session:
        results: dict[str, object] = {"start_s": round(await measure_start(session, address, process), 1)}
        results["start_cpu_s"] = round(cpu_seconds(process.pid), 1)
        load = {"connections": max(CONNECTIONS), "n": n, "seconds": seconds}
        await measure_load(session, address, process.pid, **load | {"n": len(QUERIES)}, search=True)
        health = await measure_load(session, address, process.pid, **load, search=False)
        searches = {
            connections: await measure_load(
                session, address, process.pid, **load | {"connections": connections}, search=True
            )
            for connections in CONNECTIONS
        }
    single_rate = searches[1]["per_s"]
    for measured in searches.values():
        measured["times_one"] = round(measured["per_s"] / single_rate, 2)
        measured["times_health"] = round(health["per_s"] / measured["per_s"], 2)
    return results | {"health": health, "search": searches, "memory_mb": peak_memory_mb(process.pid)}


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory_mb(pid: int) -> int:
    """Return the peak resident memory of a process in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1000


def main() -> None:
    """Start the server, run the benchmark, and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(), help="project folder with an index")
    parser.add_argument("--queries", type=int, default=2000, help="maximum number of requests per measurement")
    parser.add_argument("--seconds", type=float, default=15.0, help="maximum duration of a measurement in seconds")
    args = parser.parse_args()
    with run_server(args.folder) as (address, process):
        print(json.dumps(asyncio.run(measure_server(address, process, args.queries, args.seconds)), indent=1))


if __name__ == "__main__":
    main()
