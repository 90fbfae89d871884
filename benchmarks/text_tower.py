"""Compare the text encoder of a CLIP model in torch and in ONNX Runtime.

The model is a ViT-B-32 with random weights, because speed and memory do not depend on the values of the weights. Both
encoders encode the same new queries in turn, in one process, with all available cores. Then `kadr search` runs in new
processes, in turn with and without ONNX Runtime, on an index of the given photos.

    python benchmarks/text_tower.py ../shared/flickr8k/test_images      # two minutes on two idle cores

The script prints a JSON object and the table of docs/encoders.md. Times are medians. The CPU time is that of all
threads, and the peak memory is the maximum resident set size of a process.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ARCHITECTURE = "ViT-B-32"
QUERIES = ["two dogs in the snow", "a red car", "children on a beach", "a man with a hat", "people at a table"]
SEARCH = "from kadr.cli.main import app; app()"
WITHOUT_ONNX = f"import sys; sys.modules['onnxruntime'] = None; {SEARCH}"
ROWS = [
    ("A new query, the encoder is loaded", "warm_ms", 1, "ms"),
    ("CPU time of that query", "warm_cpu_ms", 1, "ms"),
    ("`kadr search` in a new process", "process_s", 2, "s"),
    ("CPU time of that process", "process_cpu_s", 2, "s"),
    ("Peak memory of that process", "process_mb", 0, "MB"),
]
"""Label, key, number of decimal places and unit of each row of the table."""


def make_model(folder: Path) -> None:
    """Write a CLIP model with random weights."""
    import open_clip
    import torch

    from kadr.clip.checkpoint import save_checkpoint

    torch.manual_seed(0)
    model = open_clip.create_model(ARCHITECTURE, None, load_weights=False)
    config, tokenizer = open_clip.get_model_config(ARCHITECTURE), open_clip.get_tokenizer(ARCHITECTURE)
    save_checkpoint(model, config, tokenizer, folder)


def measure_warm(model: Path, n_repeats: int) -> dict[str, Any]:
    """Encode new queries with both encoders in turn, and compare the vectors."""
    from kadr.encoders.open_clip import OpenClipParams, OpenClipTextEncoder
    from kadr.encoders.open_clip_onnx import OnnxClipTextEncoder

    params = OpenClipParams(backend="open_clip", model=f"local-dir:{model}", pretrained=None)
    onnx = OpenClipTextEncoder.load_for_queries(params, "auto")
    if not isinstance(onnx, OnnxClipTextEncoder):
        sys.exit("ONNX Runtime cannot run the text encoder. Install the extra onnx.")
    encoders = {"torch": OpenClipTextEncoder(params, "auto"), "onnx": onnx}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in encoders}
    cosines = []
    for text in [f"{query} {number}" for number in range(n_repeats + 1) for query in QUERIES]:
        vectors = {}
        for name, encoder in encoders.items():
            start, cpu = time.perf_counter(), time.process_time()
            vectors[name] = encoder.transform([text])
            times[name].append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - cpu)))
        cosines.append(float((vectors["torch"] * vectors["onnx"]).sum()))
    figures: dict[str, Any] = {"min_cosine": min(cosines), "torch_precision": encoders["torch"].identity.precision}
    for name, pairs in times.items():
        wall, cpu_times = zip(*pairs[len(QUERIES) :], strict=True)
        figures[name] = {"warm_ms": statistics.median(wall), "warm_cpu_ms": statistics.median(cpu_times)}
    return figures


def measure_processes(n_repeats: int) -> dict[str, dict[str, float]]:
    """Search in new processes, in turn without and with ONNX Runtime."""
    codes = {"torch": WITHOUT_ONNX, "onnx": SEARCH}
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in codes}
    for query in (QUERIES * n_repeats)[: n_repeats + 1]:
        for name, code in codes.items():
            runs[name].append(_run([sys.executable, "-c", code, "search", "--paths", query]))
    keys = ("process_s", "process_cpu_s", "process_mb")
    return {
        name: dict(zip(keys, map(statistics.median, zip(*figures[1:], strict=True)), strict=True))
        for name, figures in runs.items()
    }


def _run(command: list[str]) -> tuple[float, float, float]:
    """Run a command, and return its time and its CPU time in seconds, and its peak memory in megabytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def markdown_table(figures: dict[str, Any]) -> str:
    """Return the figures as the table of docs/encoders.md."""

    def format_value(name: str, key: str, digits: int, unit: str) -> str:
        return f"{figures[name][key]:,.{digits}f} {unit}"

    lines = [f"| {ARCHITECTURE}, {figures['n_cores']} cores | torch | ONNX Runtime |", "|---|---|---|"]
    for label, *row in ROWS:
        lines.append(f"| {label} | {format_value('torch', *row)} | {format_value('onnx', *row)} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the arguments, index the photos and print the figures."""
    parser = argparse.ArgumentParser(description="Compare the text encoder of a CLIP model in torch and ONNX Runtime.")
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--n", type=int, default=100, help="number of photos")
    parser.add_argument("--repeats", type=int, default=10, help="number of new processes of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"KADR_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
        os.environ.pop("KADR_CACHE", None)
        (folder / "photos").mkdir()
        for path in sorted(options.photos.iterdir())[: options.n]:
            shutil.copy(path, folder / "photos")
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # a new process starts with the memory of its parent
            pool.submit(make_model, folder / "clip").result()
        os.chdir(folder)  # outside of a project
        _run([sys.executable, "-c", SEARCH, "index", str(folder / "photos"), "--model", str(folder / "clip")])
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            figures = pool.submit(measure_warm, folder / "clip", options.repeats).result()
        for encoder, processes in measure_processes(options.repeats).items():
            figures[encoder] |= processes
    figures["n_cores"] = len(os.sched_getaffinity(0))
    print(json.dumps(figures, indent=2))
    print(markdown_table(figures))


if __name__ == "__main__":
    main()
