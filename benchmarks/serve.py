"""The server's start, memory and queries per second on this machine, by 1, 8 and 64 connections at once.

`python benchmarks/serve.py --folder .` starts `kadr serve` there, on a free port of this machine, and prints one JSON
object. The texts are asked once before the clock starts, so that their encodings are cached. `health` asks for nothing:
it is the limit that HTTP sets; `times_health` is the cost of a search against it, `times_one` what batches gain over
one query after another. `cpu_ms` is the server's processor time per query, fairer on a machine that others use. Each
measurement ends after --queries queries or --seconds seconds.
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
WHO = ("a dog", "two children", "a man in red", "a woman", "people", "a boy", "a bird", "a horse")
WHERE = (
    "in the snow",
    "on a beach",
    "in the street",
    "on the grass",
    "near water",
    "at night",
    "on a bicycle",
    "jumping",
)
START_S = 300


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Address and process of a `kadr serve` in the folder."""
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


async def start(session: aiohttp.ClientSession, address: str, process: "subprocess.Popen[bytes]") -> float:
    """Seconds until the server answers."""
    begun = time.perf_counter()
    while process.poll() is None and time.perf_counter() - begun < START_S:
        try:
            async with session.get(f"{address}/health") as answer:
                answer.raise_for_status()
                return time.perf_counter() - begun
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)
    raise SystemExit(f"no server: it ended, or did not answer within {START_S} s")


async def load(
    session: aiohttp.ClientSession,
    address: str,
    pid: int,
    *,
    connections: int,
    n: int,
    seconds: float,
    search: bool,
) -> dict[str, float]:
    """Queries per second, their times and processor time in ms, and how many failed."""
    texts = itertools.islice(itertools.cycle(f"{who} {where}" for who in WHO for where in WHERE), n)
    taken: list[float] = []
    failed, spent = 0, cpu(pid)
    begun = time.perf_counter()

    async def ask() -> None:
        nonlocal failed
        for text in texts:
            if time.perf_counter() - begun > seconds:
                return
            sent = time.perf_counter()
            request = (
                session.post(f"{address}/search", json={"text": text, "k": 20})
                if search
                else session.get(f"{address}/health")
            )
            async with request as answer:
                await answer.read()
                failed += answer.status != 200
            taken.append(time.perf_counter() - sent)

    await asyncio.gather(*(ask() for _ in range(connections)))
    rate = len(taken) / (time.perf_counter() - begun)
    p50, p99 = np.percentile(np.array(taken) * 1000, [50, 99])
    figures = {"per_s": rate, "p50_ms": p50, "p99_ms": p99, "cpu_ms": 1000 * (cpu(pid) - spent) / len(taken)}
    return {name: round(float(value), 1) for name, value in figures.items()} | {"n": len(taken), "failed": failed}


async def measure(address: str, process: "subprocess.Popen[bytes]", n: int, seconds: float) -> dict[str, object]:
    """All measurements of one server."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=max(CONNECTIONS))) as session:
        found: dict[str, object] = {"start_s": round(await start(session, address, process), 1)}
        found["start_cpu_s"] = round(cpu(process.pid), 1)
        most = {"connections": max(CONNECTIONS), "n": n, "seconds": seconds}
        await load(session, address, process.pid, **most | {"n": len(WHO) * len(WHERE)}, search=True)
        health = await load(session, address, process.pid, **most, search=False)
        searches = {
            connections: await load(session, address, process.pid, **most | {"connections": connections}, search=True)
            for connections in CONNECTIONS
        }
    one = searches[1]["per_s"]
    for at in searches.values():
        at["times_one"] = round(at["per_s"] / one, 2)
        at["times_health"] = round(health["per_s"] / at["per_s"], 2)
    return found | {"health": health, "search": searches, "memory_mb": memory(process.pid)}


def cpu(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Peak resident megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1000


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(), help="of a project whose pipeline has run")
    parser.add_argument("--queries", type=int, default=2000, help="of each measurement, at most")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement, at most")
    given = parser.parse_args()
    with server(given.folder) as (address, process):
        print(json.dumps(asyncio.run(measure(address, process, given.queries, given.seconds)), indent=1))


if __name__ == "__main__":
    main()
