"""Measure how much time the Prefect flow adds to DVC, and how much time it saves by running stages in parallel.

The benchmark clones the last commit twice. It runs the whole pipeline with `dvc repro` in one clone and with
`python -m flows.pipeline` in the other clone. When all stages are up to date, each command runs again. The result
contains the durations in seconds and their ratios. Each clone has its own embedding cache and DVC cache. The flow uses
the Prefect server at PREFECT_API_URL, or starts a temporary server.

    python benchmarks/flow.py                          # the sample data: about ten minutes on two cores
    python benchmarks/flow.py --preset flickr8k        # data in ../shared of this project: about an hour
    python benchmarks/flow.py --targets ingest aggregate
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


def clone_project(folder: Path, preset: str) -> Path:
    """Clone the last commit into `folder`, write the sample data if necessary, and apply the preset."""
    folder.mkdir()
    if SHARED.is_dir():
        (folder / "shared").symlink_to(SHARED)
    project = folder / "kadr"
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(project)], check=True)  # noqa: S603, S607
    if preset == "sample":
        run_timed(project, BIN / "kadr", "sample", "data/raw/sample")
    run_timed(project, BIN / "kadr", "use", preset)
    return project


def run_timed(project: Path, *command: str | Path) -> float:
    """Run a command in a clone and return its duration in seconds. Exit if the command fails."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    variables = {"PYTHONPATH": str(project), "KADR_CACHE": str(project / "cache"), "DVC_NO_ANALYTICS": "1"}
    environment = {**os.environ, **variables, "PATH": path}
    arguments = list(map(str, command))
    start = time.perf_counter()
    process = subprocess.run(arguments, cwd=project, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if process.returncode:
        sys.exit(f"{' '.join(arguments)}\n{process.stdout[-2000:]}\n{process.stderr[-2000:]}")
    return time.perf_counter() - start


def main() -> None:
    """Run the benchmark with both commands and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="sample", help="preset to apply in the clones")
    parser.add_argument("--targets", nargs="*", default=[], help="stages to run (default: all)")
    parser.add_argument("--max-parallel", type=int, default=2, help="number of stages that the flow runs in parallel")
    parser.add_argument("--folder", type=Path, help="empty folder for the clones (default: a temporary folder)")
    args = parser.parse_args()
    flow_targets = [argument for target in args.targets for argument in ("--target", target)]
    commands = {
        "dvc repro": [BIN / "dvc", "repro", *args.targets],
        "flow": [BIN / "python", "-m", "flows.pipeline", "--max-parallel", str(args.max_parallel), *flow_targets],
    }
    seconds: dict[str, dict[str, float]] = {}
    with nullcontext(args.folder) if args.folder else tempfile.TemporaryDirectory() as folder:
        for name, command in commands.items():
            project = clone_project(Path(folder) / name.replace(" ", "-"), args.preset)
            seconds[name] = {"all": run_timed(project, *command), "nothing": run_timed(project, *command)}
    dvc, flow = seconds["dvc repro"], seconds["flow"]
    results = {
        "seconds": {name: {run: round(spent, 1) for run, spent in runs.items()} for name, runs in seconds.items()},
        "all_flow_over_dvc": round(flow["all"] / dvc["all"], 3),
        "nothing_flow_over_dvc": round(flow["nothing"] / dvc["nothing"], 2),
        "nothing_flow_adds_s": round(flow["nothing"] - dvc["nothing"], 1),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
