"""What the flow adds to DVC, and what running stages side by side saves.

`python benchmarks/flow.py` clones the project twice, runs the whole DAG of the sample by `dvc repro` in one and by
`python -m flows.pipeline` in the other, then both again with nothing to do, and prints seconds and their ratios. Each
clone has an embedding cache and a DVC cache of its own. The flow starts Prefect's temporary server, or uses the one of
PREFECT_API_URL. `--preset flickr8k` takes another preset; its data is read from `../shared` of this project.
`--targets ingest aggregate` runs only these.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SHARED = PROJECT.parent / "shared"


def clone(folder: Path, preset: str) -> Path:
    """A fresh clone of the last commit with the preset's values in params.yaml, and the sample's data."""
    folder.mkdir()
    if SHARED.is_dir():
        (folder / "shared").symlink_to(SHARED)
    project = folder / "kadr"
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(project)], check=True)  # noqa: S603, S607
    if preset == "sample":
        run(project, BIN / "kadr", "sample", "data/raw/sample")
    run(project, BIN / "kadr", "use", preset)
    return project


def run(project: Path, *command: str | Path) -> float:
    """Seconds that a command takes in the clone."""
    own = {"PYTHONPATH": str(project), "KADR_CACHE": str(project / "cache"), "DVC_NO_ANALYTICS": "1"}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    start = time.perf_counter()
    environment = {**os.environ, **own, "PATH": path}
    arguments = list(map(str, command))
    done = subprocess.run(arguments, cwd=project, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def main() -> None:
    """Print the seconds of both ways, the first run and the one with nothing to do, and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="sample")
    parser.add_argument("--targets", nargs="*", default=[])
    parser.add_argument("--max-parallel", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="an empty folder where the clones stay; else a temporary one")
    asked = parser.parse_args()
    each = [part for target in asked.targets for part in ("--target", target)]
    ways = {
        "dvc repro": [BIN / "dvc", "repro", *asked.targets],
        "flow": [BIN / "python", "-m", "flows.pipeline", "--max-parallel", str(asked.max_parallel), *each],
    }
    seconds: dict[str, dict[str, float]] = {}
    with nullcontext(asked.folder) if asked.folder else tempfile.TemporaryDirectory() as folder:
        for name, command in ways.items():
            project = clone(Path(folder) / name.replace(" ", "-"), asked.preset)
            seconds[name] = {"all": run(project, *command), "nothing": run(project, *command)}
    dvc, flow = seconds["dvc repro"], seconds["flow"]
    figures = {
        "seconds": {name: {what: round(s, 1) for what, s in own.items()} for name, own in seconds.items()},
        "all_flow_over_dvc": round(flow["all"] / dvc["all"], 3),
        "nothing_flow_over_dvc": round(flow["nothing"] / dvc["nothing"], 2),
        "nothing_flow_adds_s": round(flow["nothing"] - dvc["nothing"], 1),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
