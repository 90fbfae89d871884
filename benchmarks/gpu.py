"""Measure the embedding of images on a GPU: speed, time per step, agreement with the CPU, memory, and query latency.

The encoder is a ViT-B-32 (open_clip) with random weights, because the speed does not depend on the values of weights.
The JPEGs are generated, unless a folder of JPEGs is given. Each image file is different, so that no vector is reused.
The script prints a JSON object per line:

- machine: GPU, cores, versions, precision, and whether the GPU decodes JPEGs (nvJPEG)
- steps: images per second of each step alone: reading and checking files, decoding on CPU cores, decoding on the GPU,
  copying pixels to the GPU, and the forward pass
- embed: images per second from image files to vectors in the embedding cache, per batch size, and relative to the
  forward pass alone
- processes: the same with several processes that share the GPU, as several runs of `kadr scale embed` do
- agreement: cosine and maximum difference between the vectors of the GPU and those of the CPU in fp32
- memory: peak of the GPU memory
- query: latency of encoding one text, and one image

The second command checks the script on a machine without a GPU.

    python benchmarks/gpu.py                          # at most eight minutes on a GPU with 16 cores
    python benchmarks/gpu.py --device cpu --images 32 --batch 16 --processes 2 --seconds 1 --queries 5
"""

import argparse
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from kadr.encoders.open_clip import OpenClipImageEncoder, OpenClipParams

MODEL = "ViT-B-32"
JPEG_SIZE = (640, 480)
JPEG_QUALITY = 90
N_DISTINCT = 64
N_COMPARED = 64
N_WARM_UP = 5


def make_jpegs(folder: Path | None) -> list[bytes]:
    """Return the content of JPEG files: the files of a folder, or generated images of 100 kB on average."""
    if folder is not None:
        return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))[:1024]]
    random = np.random.default_rng(0)
    jpegs = []
    for _ in range(N_DISTINCT):
        shapes = Image.fromarray(random.integers(256, size=(12, 16, 3), dtype=np.uint8)).resize(JPEG_SIZE)
        pixels = np.asarray(shapes, np.float32) + random.normal(0, 8, (*JPEG_SIZE[::-1], 3))
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
        jpegs.append(file.getvalue())
    return jpegs


def write_files(jpegs: list[bytes], n_images: int, folder: Path) -> list[Path]:
    """Write image files. A comment with the number of the file makes each file different."""
    paths = []
    for number in range(n_images):
        jpeg, comment = jpegs[number % len(jpegs)], f"{number:08d}".encode()
        segment = b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment
        paths.append(folder / f"{number:08d}.jpg")
        paths[-1].write_bytes(jpeg[:2] + segment + jpeg[2:])
    return paths


def make_model(folder: Path) -> "OpenClipParams":
    """Save a ViT-B-32 with random weights, and return the settings of its encoders."""
    import open_clip
    import torch

    from kadr.clip.checkpoint import save_checkpoint
    from kadr.encoders.open_clip import OpenClipParams

    torch.manual_seed(0)
    save_checkpoint(
        open_clip.create_model(MODEL, None), open_clip.get_model_config(MODEL), open_clip.get_tokenizer(MODEL), folder
    )
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)


def synchronise() -> None:
    """Wait until the GPU has finished, if there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure_rate(work: Callable[[int], object], batch_size: int, n_threads: int, seconds: float) -> float:
    """Return the images per second of a function that processes one batch.

    Args:
        work: function that takes the number of the batch.
        batch_size: number of images per batch.
        n_threads: number of threads that call the function.
        seconds: duration of the measurement. It ends with the batch that is running then.
    """
    work(0)
    synchronise()
    start = time.perf_counter()

    def repeat(first: int) -> int:
        number = first
        while time.perf_counter() - start < seconds:
            work(number)
            number += n_threads
        return (number - first) // n_threads

    with ThreadPoolExecutor(n_threads) as pool:
        n_batches = sum(pool.map(repeat, range(n_threads)))
    synchronise()
    return round(n_batches * batch_size / (time.perf_counter() - start), 1)


def measure_steps(
    encoder: "OpenClipImageEncoder", paths: list[Path], batch_size: int, seconds: float
) -> dict[str, float | None]:
    """Return the images per second of each step alone. A step that needs a GPU is None without a GPU."""
    import torch

    from kadr.embed.reader import ImageToEmbed, preprocess_images, preprocess_on_cpu
    from kadr.encoders.torch_models import available_cores, torch_device, torch_dtype

    images = [ImageToEmbed(str(path), file_hash(path)) for path in paths[: 4 * batch_size]]
    device, dtype, n_cores = torch_device(), torch_dtype(encoder.identity.precision), available_cores()
    model = torch_model(encoder)

    def batch(number: int) -> list[ImageToEmbed]:
        start = number * batch_size % len(images)
        return images[start : start + batch_size]

    ready = [item.pixels for item in preprocess_images(batch(0), encoder, batch_size)]
    on_cpu = torch.from_numpy(np.stack([preprocess_on_cpu(image, encoder).pixels for image in batch(0)]))
    pinned = on_cpu.pin_memory() if device == "cuda" else on_cpu
    normalised = encoder._preprocessing.normalise(on_cpu.to(device), dtype)

    def forward(_number: int) -> None:
        with torch.inference_mode():
            model.encode_image(normalised).float().cpu()

    def decode_on_gpu(_number: int) -> None:
        encoder._preprocessing.decode_jpegs(ready, device)
        synchronise()

    def copy(_number: int) -> None:
        pinned.to(device, non_blocking=True)
        synchronise()

    def decode_on_cpu(number: int) -> None:
        for image in batch(number):
            preprocess_on_cpu(image, encoder)

    with encoder.share_cores():
        rates: dict[str, float | None] = {
            "batch": batch_size,
            "read_files": measure_rate(
                lambda number: list(preprocess_images(batch(number), encoder, batch_size)), batch_size, 1, seconds
            ),
            "decode_on_cpu_cores": measure_rate(decode_on_cpu, batch_size, n_cores, seconds),
            "decode_on_gpu": None,
            "copy_to_gpu": None,
            "forward": measure_rate(forward, batch_size, encoder.workers, seconds),
        }
        if encoder.decodes_on_device:
            rates["decode_on_gpu"] = measure_rate(decode_on_gpu, batch_size, encoder.workers, seconds)
        if device == "cuda":
            rates["copy_to_gpu"] = measure_rate(copy, batch_size, 1, seconds)
    return rates


def measure_embedding(
    encoder: "OpenClipImageEncoder", paths: list[Path], batch_size: int, forward: float
) -> dict[str, float]:
    """Return the images per second from image files to vectors in an empty embedding cache.

    Args:
        encoder: encoder to measure.
        paths: image files.
        batch_size: number of images per forward pass.
        forward: images per second of the forward pass alone.
    """
    from embed_restarts import list_image_table

    from kadr.embed import EmbeddingCache, embed_images

    table = list_image_table(paths)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
        embed_images(encoder, table.slice(0, 2 * batch_size), cache, batch_size)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
        start, cpu_start = time.perf_counter(), time.process_time()
        embedded = embed_images(encoder, table, cache, batch_size)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    if len(embedded.ids) != len(paths):
        raise RuntimeError(f"{len(embedded.ids)} of {len(paths)} images have vectors, expected all")
    return {
        "batch": batch_size,
        "images": len(paths),
        "images_per_s": round(len(paths) / seconds, 1),
        "relative_to_forward": round(len(paths) / seconds / forward, 3),
        "cpu_ms_per_image": round(cpu / len(paths) * 1e3, 3),
    }


def measure_processes(
    params: "OpenClipParams", paths: list[Path], batch_size: int, n_processes: int, forward: float
) -> dict[str, float]:
    """Return the images per second of several processes that embed different images at the same time.

    Args:
        params: settings of the encoder.
        paths: image files.
        batch_size: number of images per forward pass.
        n_processes: number of processes.
        forward: images per second of the forward pass alone, in one process.
    """
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(n_processes) as pool:
        barrier = manager.Barrier(n_processes)
        shares = [(params, paths[number::n_processes], batch_size, barrier) for number in range(n_processes)]
        times = pool.starmap(embed_share, shares, chunksize=1)
    seconds = max(end for _, end in times) - min(start for start, _ in times)
    return {
        "batch": batch_size,
        "processes": n_processes,
        "images_per_s": round(len(paths) / seconds, 1),
        "relative_to_forward": round(len(paths) / seconds / forward, 3),
    }


def embed_share(params: "OpenClipParams", paths: list[Path], batch_size: int, barrier: Any) -> tuple[float, float]:
    """Embed images in a process of its own. Return the start and the end on the clock of the machine, in seconds."""
    from embed_restarts import list_image_table

    from kadr.embed import EmbeddingCache, embed_images
    from kadr.encoders import load_image_encoder
    from kadr.encoders.allocator import keep_freed_memory

    keep_freed_memory()
    encoder, table = load_image_encoder(params, "auto"), list_image_table(paths)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
        embed_images(encoder, table.slice(0, 2 * batch_size), cache, batch_size)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
        barrier.wait()
        start = time.monotonic()
        embed_images(encoder, table, cache, batch_size)
        return start, time.monotonic()


def measure_agreement(encoder: "OpenClipImageEncoder", params: "OpenClipParams", paths: list[Path]) -> dict[str, float]:
    """Compare the vectors of the encoder with those of the same model on the CPU in fp32, with decoding on the CPU."""
    from kadr.encoders import load_image_encoder

    with mock.patch("kadr.encoders.torch_images.torch_devices", return_value=["cpu"]):
        reference = load_image_encoder(params, "fp32")
    contents = [path.read_bytes() for path in paths[:N_COMPARED]]
    expected, actual = (
        one.encode([one.preprocess_bytes(content, "benchmark.jpg") for content in contents])
        for one in (reference, encoder)
    )
    cosines = (expected * actual).sum(axis=1)
    return {
        "images": len(contents),
        "cosine_min": round(float(cosines.min()), 6),
        "cosine_mean": round(float(cosines.mean()), 6),
        "max_difference": round(float(np.abs(expected - actual).max()), 6),
    }


def measure_query(
    encoder: "OpenClipImageEncoder", params: "OpenClipParams", path: Path, n_queries: int
) -> dict[str, float]:
    """Return the latency in milliseconds of encoding one text, and one image from the content of its file."""
    from kadr.encoders.open_clip import OpenClipTextEncoder

    texts = OpenClipTextEncoder(params, "auto")
    content = path.read_bytes()
    works: dict[str, Callable[[int], object]] = {
        "text": lambda number: texts.transform([f"a dog in the snow {number}"]),
        "image": lambda _number: encoder.encode([encoder.preprocess_bytes(content, path)]),
    }
    latencies = {}
    for name, work in works.items():
        for number in range(N_WARM_UP):
            work(number)
        times = []
        for number in range(n_queries):
            start = time.perf_counter()
            work(number)
            times.append((time.perf_counter() - start) * 1e3)
        latencies |= {f"{name}_p50_ms": percentile(times, 50), f"{name}_p95_ms": percentile(times, 95)}
    return latencies


def percentile(values: list[float], q: float) -> float:
    """Return a percentile, rounded to two decimals."""
    return round(float(np.percentile(values, q)), 2)


def torch_model(encoder: "OpenClipImageEncoder") -> Any:
    """Return the torch module that the encoder runs on its first device."""
    replica = encoder._free.get()
    encoder._free.put(replica)
    return replica.model


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    from kadr.io.storage import sha256

    return sha256(path)


def measure_memory() -> dict[str, float]:
    """Return the peak of the memory that torch reserved on the GPU, in MB. It is zero without a GPU."""
    import torch

    return {"peak_gpu_mb": round(torch.cuda.max_memory_reserved() / 1e6) if torch.cuda.is_available() else 0}


def describe_machine(encoder: "OpenClipImageEncoder", paths: list[Path]) -> dict[str, object]:
    """Return the properties of the machine and the encoder that affect the results."""
    import torch
    import torchvision

    from kadr.encoders.torch_models import available_cores, torch_devices

    on_gpu = torch.cuda.is_available()
    return {
        "devices": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())] if on_gpu else ["cpu"],
        "torch_devices": torch_devices(),
        "cores": available_cores(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "precision": encoder.identity.precision,
        "gpu_decodes_jpegs": encoder.decodes_on_device,
        "workers": encoder.workers,
        "jpeg_kb": round(sum(path.stat().st_size for path in paths) / len(paths) / 1e3, 1),
    }


def report(part: str, measure: Callable[[], Mapping[str, object]]) -> Mapping[str, object]:
    """Call a function, print its results as a line of JSON with the duration of the call, and return the results."""
    start = time.perf_counter()
    results = measure()
    print(json.dumps({"part": part, **results, "s": round(time.perf_counter() - start, 1)}), flush=True)
    return results


def main() -> None:
    """Run all parts and print their results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of JPEGs; by default, JPEGs are generated")
    parser.add_argument("--device", choices=["auto", "cpu"], default="auto", help="cpu hides all GPUs")
    parser.add_argument("--images", type=int, default=30_000, help="number of images to embed per batch size")
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 512, 1024], help="numbers of images per batch")
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4], help="numbers of processes on the GPU")
    parser.add_argument("--seconds", type=float, default=8.0, help="duration of the measurement of each step")
    parser.add_argument("--queries", type=int, default=200, help="number of texts, and of images, to encode alone")
    args = parser.parse_args()
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported
    from kadr.encoders import load_image_encoder
    from kadr.encoders.allocator import keep_freed_memory

    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        images, weights = Path(name) / "images", Path(name) / "weights"
        images.mkdir()
        weights.mkdir()
        params = make_model(weights)
        encoder = load_image_encoder(params, "auto")
        paths = write_files(make_jpegs(args.folder), args.images, images)
        report("machine", lambda: describe_machine(encoder, paths))
        steps: Any = report("steps", lambda: measure_steps(encoder, paths, args.batch[0], args.seconds))
        for batch_size in args.batch:
            report("embed", partial(measure_embedding, encoder, paths, batch_size, steps["forward"]))
        for n_processes in args.processes:
            report(
                "processes",
                partial(measure_processes, params, paths, args.batch[0], n_processes, steps["forward"]),
            )
        report("agreement", lambda: measure_agreement(encoder, params, paths))
        report("memory", measure_memory)
        report("query", lambda: measure_query(encoder, params, paths[0], args.queries))


if __name__ == "__main__":
    main()
