"""Measure the size and the speed of the CLIP models that can be selected by a short name.

The models have the real architectures and random weights, because speed and size do not depend on the values of the
weights. Each model runs in a process of its own, with the decoding, the precision and the threads of `kadr index`. A
first run, which is not counted, embeds one batch. Then one text is embedded repeatedly, as for a search, and the median
time is reported.

    python benchmarks/models.py ../shared/flickr8k/test_images      # ten minutes on two idle cores

The script prints a JSON object for each model. The large model needs 10 GB of memory.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from embed_restarts import list_image_table

from kadr.params.clip_models import NAMED_MODELS, encoder_settings

BATCH_SIZE, N_TEXTS = 16, 9
N_IMAGES = {"small": 96, "multilingual": 48, "large": 16}


def measure(name: str, paths: list[Path]) -> dict[str, object]:
    """Return the size, the speed and the memory of one model with random weights.

    Args:
        name: short name of the model.
        paths: images to embed.
    """
    import torch
    from open_clip import create_model

    from kadr.embed import EmbeddingCache, embed_images
    from kadr.encoders import open_clip
    from kadr.encoders.torch_models import torch_dtype

    settings = encoder_settings(NAMED_MODELS[name].name)
    params = open_clip.OpenClipParams.model_validate(settings)
    model = create_model(params.model, load_weights=False).eval()
    open_clip.load_clip = lambda *_: model  # the weights cannot be downloaded where the benchmark runs
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    encoder = open_clip.OpenClipImageEncoder.load(params, "auto")
    images = list_image_table(paths)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
        embed_images(encoder, images.slice(0, BATCH_SIZE), cache, BATCH_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
        start = time.perf_counter()
        embed_images(encoder, images, cache, BATCH_SIZE)
        seconds = time.perf_counter() - start
    text_model = model.to(torch_dtype(encoder.identity.precision))
    tokens = torch.ones(1, text_model.context_length, dtype=torch.long)
    text_seconds = []
    for _ in range(N_TEXTS):
        start = time.perf_counter()
        with torch.inference_mode():
            text_model.encode_text(tokens)
        text_seconds.append(time.perf_counter() - start)
    return {
        "name": name,
        "model": NAMED_MODELS[name].name,
        "parameters_millions": round(n_parameters / 1e6, 1),
        "dimensions": encoder.dim,
        "precision": encoder.identity.precision,
        "images_per_second": round(len(paths) / seconds, 2),
        "text_milliseconds": round(1000 * statistics.median(text_seconds)),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }


def main() -> None:
    """Measure each model in a process of its own."""
    parser = argparse.ArgumentParser(description="Measure the CLIP models that can be selected by a short name.")
    parser.add_argument("folder", type=Path, help="folder of images")
    parser.add_argument("--models", nargs="+", choices=list(NAMED_MODELS), default=list(NAMED_MODELS))
    parser.add_argument(
        "--n", type=int, help="number of images. Default: 96 for small, 48 for multilingual, 16 for large"
    )
    options = parser.parse_args()
    if len(options.models) == 1:
        (name,) = options.models
        paths = sorted(options.folder.iterdir())[: options.n or N_IMAGES[name]]
        print(json.dumps(measure(name, paths)))
        return
    for name in options.models:
        count = [] if options.n is None else ["--n", str(options.n)]
        subprocess.run([sys.executable, __file__, str(options.folder), "--models", name, *count], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
