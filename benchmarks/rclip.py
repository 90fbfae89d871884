"""Compare kadr with rclip on the same photos, the same cores and the same CLIP model.

rclip downloads a ViT-B-32-256 in ONNX format. This script makes that architecture with random weights, and gives the
same weights to both programs: to kadr as an open_clip folder, and to rclip as ONNX files, exported as in the script
scripts/convert_model.py of rclip. Speed and memory do not depend on the values of the weights. The script checks that
both programs return the same photos.

Install rclip into an environment of its own, with the package that the export needs:

    uv venv DIR && uv pip install --python DIR/bin/python rclip onnx
    python benchmarks/rclip.py --rclip DIR ../shared/flickr8k/test_images ../shared/flickr8k/train_images

The script prints a JSON object and the table of docs/comparison.md. Each command is a new process, as in a terminal.
Times are wall-clock times, and the median is reported for searches. Memory is the highest sum of the proportional set
sizes (PSS) of a process and its children. The time from an empty machine to the first answer is the time of the first
index and the first search, without the installation of packages and the download of the model.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

QUERIES = ["two dogs in the snow", "a red car", "children on a beach", "a man with a hat", "people at a table"]
ARCHITECTURE, IMAGE_SIZE, CONTEXT_LENGTH = "ViT-B-32-256", 256, 77
RCLIP_MODEL = "ViT-B-32-256-datacomp_s34b_b86k"
N_RESULTS = 5
SAMPLE_SECONDS = 0.05
ROWS = [
    ("First answer: first index and first search", "first_answer_seconds", 1, "s"),
    ("First index", "index_images_per_second", 1, "images/s"),
    ("Peak memory of the first index", "index_peak_mb", 0, "MB"),
    ("Update the index and search, nothing has changed", "unchanged_seconds", 1, "s"),
    ("A search in the terminal", "search_seconds", 2, "s"),
    ("Peak memory of a search in the terminal", "search_peak_mb", 0, "MB"),
    ("A new query to `kadr serve`", "server_search_milliseconds", 0, "ms"),
]
"""Label, key, number of decimal places and unit of each row of the table."""
MIN_SHARED = 0.8  # kadr uses bf16 and rclip fp32, so photos with nearly the same cosine can swap places


def make_models(folder: Path, rclip_environment: Path) -> None:
    """Write one CLIP model with random weights in the formats of both programs."""
    import open_clip
    import torch

    from kadr.clip.checkpoint import save_checkpoint

    (site_packages,) = rclip_environment.glob("lib/python*/site-packages")
    sys.path.append(str(site_packages))  # for the package onnx
    torch.manual_seed(0)
    model = open_clip.create_model(ARCHITECTURE, None).eval()
    save_checkpoint(
        model, open_clip.get_model_config(ARCHITECTURE), open_clip.get_tokenizer(ARCHITECTURE), folder / "clip"
    )
    onnx, tokenizer = folder / "rclip" / RCLIP_MODEL, folder / "rclip" / "tokenizer"
    onnx.mkdir(parents=True)
    tokenizer.mkdir()
    shutil.copy(Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz"), tokenizer)
    torch.backends.mha.set_fastpath_enabled(False)
    model.forward = model.encode_text
    inputs = {
        "visual": (model.visual, torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE)),
        "textual": (model, torch.zeros(1, CONTEXT_LENGTH, dtype=torch.long)),
    }
    for name, (module, example) in inputs.items():
        torch.onnx.export(
            module,
            (example,),
            str(onnx / f"{name}.onnx"),
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            opset_version=18,
            dynamo=False,
        )


class MeasuredRun:
    """Run a command, and measure its time and its memory.

    Attributes:
        output: standard output of the command.
        seconds: wall-clock time.
        peak_mb: highest sum of the proportional set sizes of the process and its children, in megabytes.
    """

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], *, memory: bool = False) -> None:
        self.peak_mb = 0.0
        start = time.perf_counter()
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)  # noqa: S603
        if memory:
            threading.Thread(target=self._sample, args=(process,), daemon=True).start()
        self.output, errors = process.communicate()
        self.seconds = time.perf_counter() - start
        if process.returncode:
            sys.exit(f"{' '.join(command)}\n{errors}")

    def _sample(self, process: "subprocess.Popen[str]") -> None:
        while process.poll() is None:
            try:
                root = psutil.Process(process.pid)
                tree = [root, *root.children(recursive=True)]
                sizes = [member.memory_full_info().pss for member in tree if member.is_running()]
                self.peak_mb = max(self.peak_mb, sum(sizes) / 1e6)
            except psutil.Error:
                pass  # a process has ended
            time.sleep(SAMPLE_SECONDS)


def compare(folder: Path, rclip_environment: Path, photos: Path, n_photos: int, n_repeats: int) -> dict[str, Any]:
    """Index and search the photos with both programs."""
    home = folder / "home"
    kadr_environment = os.environ | {"KADR_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    kadr_environment.pop("KADR_CACHE", None)
    rclip_variables = os.environ | {"RCLIP_DATADIR": str(folder / "rclip"), "HF_HUB_OFFLINE": "1"}
    kadr, rclip = str(Path(sys.executable).with_name("kadr")), str(rclip_environment / "bin" / "rclip")
    index = [kadr, "index", str(photos), "--model", str(folder / "clip")]
    search = [kadr, "search", "-k", str(N_RESULTS), "--paths"]
    rclip_search = [rclip, "--filepath-only", "--top", str(N_RESULTS)]

    first_index = MeasuredRun(index, folder, kadr_environment, memory=True)
    first_search = MeasuredRun([*search, QUERIES[0]], folder, kadr_environment, memory=True)
    rclip_first = MeasuredRun([*rclip_search, QUERIES[0]], photos, rclip_variables, memory=True)
    searches, rclip_searches, shared = [], [], []
    for query in QUERIES * n_repeats:
        ours = MeasuredRun([*search, query], folder, kadr_environment)
        theirs = MeasuredRun([*rclip_search, "--no-indexing", query], photos, rclip_variables)
        searches.append(ours.seconds)
        rclip_searches.append(theirs.seconds)
        shared.append(len(set(ours.output.split()) & set(theirs.output.split())) / N_RESULTS)
    update = MeasuredRun([kadr, "index"], folder, kadr_environment)
    rclip_update = MeasuredRun([*rclip_search, QUERIES[0]], photos, rclip_variables)
    if statistics.mean(shared) < MIN_SHARED:
        sys.exit(f"The programs return different photos: they share {statistics.mean(shared):.0%} of the results.")
    kadr_figures = {
        "version": version("kadr"),
        "index_seconds": first_index.seconds,
        "index_images_per_second": n_photos / first_index.seconds,
        "index_peak_mb": first_index.peak_mb,
        "first_answer_seconds": first_index.seconds + first_search.seconds,
        "unchanged_seconds": update.seconds + statistics.median(searches),
        "search_seconds": statistics.median(searches),
        "search_peak_mb": first_search.peak_mb,
        "server_search_milliseconds": measure_server(kadr, folder, kadr_environment, n_repeats),
    }
    index_seconds = rclip_first.seconds - statistics.median(rclip_searches)
    rclip_figures = {
        "version": rclip_version(rclip_environment),
        "index_seconds": index_seconds,
        "index_images_per_second": n_photos / index_seconds,
        "index_peak_mb": rclip_first.peak_mb,
        "first_answer_seconds": rclip_first.seconds,
        "unchanged_seconds": rclip_update.seconds,
        "search_seconds": statistics.median(rclip_searches),
        "search_peak_mb": MeasuredRun(
            [*rclip_search, "--no-indexing", QUERIES[0]], photos, rclip_variables, memory=True
        ).peak_mb,
        "server_search_milliseconds": None,
    }
    return {
        "n_photos": n_photos,
        "n_cores": len(os.sched_getaffinity(0)),
        "same_results": statistics.mean(shared),
        "kadr": kadr_figures,
        "rclip": rclip_figures,
    }


def measure_server(kadr: str, folder: Path, environment: dict[str, str], n_repeats: int) -> float:
    """Return the median time of a text query to `kadr serve`, in milliseconds, after one query of each text."""
    port = "8765"
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([kadr, "serve", "--port", port], cwd=folder, env=environment, **silent)  # noqa: S603

    def ask(text: str) -> float:
        body = json.dumps({"text": text, "k": N_RESULTS}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/search", body, headers)
        start = time.perf_counter()
        with urllib.request.urlopen(request) as response:  # noqa: S310
            response.read()
        return 1000 * (time.perf_counter() - start)

    try:
        end = time.monotonic() + 120
        while True:
            try:
                ask(QUERIES[0])
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        texts = [f"{query} {number}" for number in range(n_repeats) for query in QUERIES]  # not in the query cache
        return statistics.median(ask(text) for text in texts)
    finally:
        server.terminate()
        server.wait()


def markdown_table(figures: dict[str, Any]) -> str:
    """Return the figures as the table of docs/comparison.md."""
    kadr, rclip = figures["kadr"], figures["rclip"]
    lines = [
        f"| {figures['n_photos']} photos, {figures['n_cores']} cores | kadr | rclip {rclip['version']} |",
        "|---|---|---|",
    ]
    for label, key, digits, unit in ROWS:
        values = ["–" if each[key] is None else f"{each[key]:,.{digits}f} {unit}" for each in (kadr, rclip)]
        lines.append(f"| {label} | {values[0]} | {values[1]} |")
    return "\n".join(lines)


def rclip_version(environment: Path) -> str:
    """Return the version of rclip in an environment."""
    code = "from importlib.metadata import version; print(version('rclip'))"
    return subprocess.check_output([environment / "bin" / "python", "-c", code], text=True).strip()  # noqa: S603


def main() -> None:
    """Parse the arguments, copy the photos and print the figures."""
    parser = argparse.ArgumentParser(description="Compare kadr with rclip.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders of photos")
    parser.add_argument("--rclip", type=Path, required=True, help="virtual environment that contains rclip and onnx")
    parser.add_argument("--n", type=int, default=900, help="number of photos")
    parser.add_argument("--repeats", type=int, default=3, help="number of times that each query is repeated")
    options = parser.parse_args()
    paths = [path for folder in options.folders for path in sorted(folder.iterdir())][: options.n]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        for path in paths:
            shutil.copy(path, photos)
        make_models(folder, options.rclip.absolute())
        figures = compare(folder, options.rclip.absolute(), photos, len(paths), options.repeats)
    print(json.dumps(figures, indent=2))
    print(markdown_table(figures))


if __name__ == "__main__":
    main()
