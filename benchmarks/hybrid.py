"""Measure whether fusing word search (BM25) with the cosine of the encoder improves recall on Flickr8k.

The collection has the 100 test images and the 800 train images of Flickr8k, which the encoder was not trained on. The
queries are the captions of the test images. The benchmark compares three rankings: cosine alone, BM25 alone, and their
fusion. Each condition gives the images other names and descriptions. The query itself is never a description:

- described: Each image has one of its captions as its description. Each test image is searched by its other captions.
  This is repeated with each of the five captions as the description.
- mixed: As before, but only 20 % of the images have a description.
- names: No descriptions. 30 % of the images have two words of a caption as file name (`snow_dog.jpg`), the others have
  names of a camera (`IMG_0412.jpg`).
- misleading: As before, but the two words are from a caption of another image. Fusion can only harm.
- file names: Names of a camera. The query is the file name of the image.

The constants of the fusion are chosen on the first half of the test images (`--half development`). The other half,
`--half report`, is the default. The printed JSON contains recall@1, 5 and 10 with bootstrap intervals over images, and
the paired difference between fusion and cosine.

    python benchmarks/hybrid.py --data ../shared/flickr8k --model ../shared/encoders/clip-mobilenetv2-flickr8k
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

from kadr.encoders import fit_text_encoder, load_image_encoder
from kadr.encoders.open_clip import OpenClipParams
from kadr.index import Index, build_index
from kadr.index.text_analysis import STOP_WORDS
from kadr.io.embeddings import Embeddings
from kadr.metrics import bootstrap
from kadr.search import Query, Searcher, Term

RANKS = (1, 5, 10)
NOT_FOUND = 1_000_000
"""Rank of an image that is not among the best."""

BATCH_SIZE = 100
N_CAPTIONS = 5
SHARE_DESCRIBED = 0.2
SHARE_NAMED = 0.3
CONDITIONS = ("described", "mixed", "names", "misleading", "file names")

Captions = dict[str, list[str]]


def read_captions(folder: Path) -> Captions:
    """Return the captions of each image: five of a test image, and at most one of a train image."""
    captions: Captions = defaultdict(list)
    test = pd.read_csv(folder / "test_queries.csv", sep="|")
    for image, text in sorted(zip(test["image"], test["query_text"], strict=True)):
        captions[image].append(text)
    train = pd.read_csv(folder / "train_dataset.csv").drop_duplicates("query_id")
    for query_id, text in zip(train["query_id"], train["query_text"], strict=True):
        if (folder / "train_images" / query_id.split("#")[0]).is_file():
            captions[query_id.split("#")[0]].append(text)
    return captions


def embed(folder: Path, model: OpenClipParams) -> Embeddings:
    """Embed all images."""
    encoder = load_image_encoder(model, "fp32")
    paths = sorted([*(folder / "test_images").iterdir(), *(folder / "train_images").iterdir()])
    chunks = [
        encoder.transform([Image.open(path).convert("RGB") for path in paths[start : start + 50]])
        for start in range(0, len(paths), 50)
    ]
    return Embeddings([path.name for path in paths], np.concatenate(chunks), encoder.identity.metadata)


def make_index(
    embeddings: Embeddings, captions: Captions, condition: str, caption: int, rng: random.Random
) -> tuple[Index, dict[str, str]]:
    """Return an index whose images have the names and descriptions of a condition, and the name of each image."""
    names, descriptions = {}, {}
    described = [image for image in embeddings.ids if captions[image]]
    texts = {image: captions[image][caption % len(captions[image])] for image in described}
    for number, image in enumerate(embeddings.ids):
        names[image] = f"IMG_{number:04d}.jpg"
        is_chosen = rng.random() < (SHARE_NAMED if condition in ("names", "misleading") else SHARE_DESCRIBED)
        if image in texts and (condition == "described" or (condition == "mixed" and is_chosen)):
            descriptions[image] = texts[image]
        if image in texts and is_chosen and condition in ("names", "misleading"):
            text = texts[image] if condition == "names" else texts[rng.choice(described)]
            words = [word for word in text.lower().split() if word.isalpha() and word not in STOP_WORDS]
            names[image] = "_".join(rng.sample(words, min(2, len(words)))) + ".jpg"
    table = pa.table(
        {
            "image_id": embeddings.ids,
            "path": [f"/photos/{names[image]}" for image in embeddings.ids],
            "description": pa.array([descriptions.get(image) for image in embeddings.ids], pa.string()),
            "status": ["ok"] * len(embeddings.ids),
        }
    )
    return build_index(table, {"clip": embeddings}, "clip", exact_max=10_000), names


def find_queries(captions: Captions, half: str, condition: str, caption: int) -> list[tuple[str, str]]:
    """Return pairs (image, query text) of one half of the test images. The caption that is indexed is left out."""
    test = sorted(image for image, texts in captions.items() if len(texts) == N_CAPTIONS)
    chosen = test[::2] if half == "development" else test[1::2]
    if condition == "file names":
        return [(image, "") for image in chosen]
    return [(image, text) for image in chosen for n, text in enumerate(captions[image]) if n != caption]


def rank_by_words(index: Index, text: str, target: int) -> int:
    """Return the rank of an image by BM25 alone. Images without words of the query and ties share the mean rank."""
    if index.text_index is None:
        raise SystemExit("This Python has no SQLite with FTS5.")
    matches = index.text_index.search(text)
    scores = np.zeros(len(index.table))
    scores[matches.rows] = np.round(matches.scores, 9)
    n_tied = int((scores == scores[target]).sum()) - 1
    return 1 + int((scores > scores[target]).sum()) + (n_tied + 1) // 2


def rank_targets(searcher: Searcher, queries: Sequence[tuple[str, str]]) -> Iterator[int]:
    """Yield the rank of the target image of each query, or NOT_FOUND."""
    for start in range(0, len(queries), BATCH_SIZE):
        batch = queries[start : start + BATCH_SIZE]
        texts = [Query((Term(1.0, text=text),), fold_duplicates=False) for _, text in batch]
        for (image, _), matches in zip(batch, searcher.search_many(texts, max(RANKS)), strict=True):
            found = [match.image_id for match in matches]
            yield 1 + found.index(image) if image in found else NOT_FOUND


def summarise(ranks: np.ndarray, groups: list[str], n_bootstrap: int) -> dict[str, list[float]]:
    """Return mean and 95 % interval of recall@k."""
    return {f"recall_at_{k}": mean_interval(100.0 * (ranks <= k), groups, n_bootstrap) for k in RANKS}


def mean_interval(values: np.ndarray, groups: list[str], n_bootstrap: int) -> list[float]:
    """Return the mean with the bounds of its 95 % bootstrap interval over images."""
    mean = bootstrap(lambda rows: float(values[rows].mean()), groups, n_bootstrap, 0.95, seed=0)
    if mean is None:
        raise SystemExit("No queries.")
    return [round(value, 1) for value in (mean.value, mean.low, mean.high)]


def main() -> None:
    """Run the benchmark and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder of Flickr8k in the layout of the preset.")
    parser.add_argument("--model", type=Path, required=True, help="Folder of a CLIP model in open_clip's format.")
    parser.add_argument("--half", choices=("development", "report"), default="report", help="Test images to search.")
    parser.add_argument("--n-bootstrap", type=int, default=2000, help="Number of bootstrap resamples.")
    args = parser.parse_args()
    model = OpenClipParams(backend="open_clip", model=f"local-dir:{args.model}", pretrained=None)
    captions, embeddings = read_captions(args.data), embed(args.data, model)
    encoders = {"clip": fit_text_encoder(model, "fp32", [], 0)}
    results: dict[str, object] = {"half": args.half, "n_images": len(embeddings.ids)}
    for condition in CONDITIONS:
        ranks: dict[str, list[int]] = defaultdict(list)
        groups: list[str] = []
        for caption in range(1 if condition == "file names" else N_CAPTIONS):
            index, names = make_index(embeddings, captions, condition, caption, random.Random(caption))
            queries = find_queries(captions, args.half, condition, caption)
            queries = [(image, text or names[image]) for image, text in queries]
            groups += [image for image, _ in queries]
            row = {image: number for number, image in enumerate(index.table["image_id"].to_pylist())}
            ranks["bm25"] += [rank_by_words(index, text, row[image]) for image, text in queries]
            for method, words in (("cosine", False), ("fused", True)):
                ranks[method] += rank_targets(Searcher(index, encoders, None, 0, words=words), queries)
        arrays = {method: np.array(values) for method, values in ranks.items()}
        summary: dict[str, object] = {
            method: summarise(values, groups, args.n_bootstrap) for method, values in arrays.items()
        }
        summary["fused - cosine"] = {
            f"recall_at_{k}": mean_interval(
                100.0 * (arrays["fused"] <= k) - 100.0 * (arrays["cosine"] <= k), groups, args.n_bootstrap
            )
            for k in RANKS
        }
        results[condition] = {"n_queries": len(groups)} | summary
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
