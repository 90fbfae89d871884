"""Fixtures for a small project that contains the tables and embeddings for training."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kadr.io.embeddings import Embeddings
from kadr.io.schemas import CAPTIONS, IMAGES, QUERIES, RATINGS, RELEVANCE, WITHHELD, write_table
from kadr.params import Params, load_params
from kadr.project import PROJECT

N_TRAIN, N_TEST, DIM = 24, 6, 8


@pytest.fixture
def small_params(project: Path) -> Params:
    """Return the project's params with one encoder, few folds and few trees."""
    params = load_params(project / "params.yaml")
    clip = {"clip": params.embed_images.encoders["clip"]}
    train = {
        "features": ["cosine", "product"],
        "baselines": ["mean", "cosine", "concat"],
        "image_folds": 3,
        "query_folds": 3,
        "n_estimators": 20,
        "num_threads": 1,
        "min_data_in_leaf": 5,
    }
    return params.model_copy(
        update={
            "embed_images": params.embed_images.model_copy(update={"encoders": clip}),
            "embed_texts": params.embed_texts.model_copy(update={"encoders": clip}),
            "train": params.train.model_copy(update=train),
            "evaluate": params.evaluate.model_copy(
                update={"n_bootstrap": 20, "gates": params.evaluate.gates.model_copy(update={"above": None})}
            ),
        }
    )


@pytest.fixture
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """Return a temporary working directory with the tables and embeddings of a small project.

    The embedding of each query `i.jpg#0` is close to the embedding of its image `i.jpg`. The ratings of three experts
    and of the crowd follow the cosine of the embeddings.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}")
    rng = np.random.default_rng(0)
    image_vectors = normalise_rows(rng.normal(size=(N_TRAIN + N_TEST, DIM)))
    text_vectors = normalise_rows(image_vectors + 0.2 * rng.normal(size=image_vectors.shape))
    image_ids = [f"{number:02d}.jpg" for number in range(len(image_vectors))]
    query_ids = [f"{image_id}#0" for image_id in image_ids]
    write_table(CAPTIONS.empty_table(), PROJECT.captions, CAPTIONS)
    Embeddings(image_ids, image_vectors, {"encoder": "clip"}).write(PROJECT.image_embeddings / "clip.parquet")
    Embeddings(query_ids, text_vectors, {"encoder": "clip"}).write(PROJECT.text_embeddings / "clip.parquet")
    splits = ["train"] * N_TRAIN + ["test"] * N_TEST
    images = pd.DataFrame({"image_id": image_ids, "path": image_ids, "split": splits, "status": "ok"})
    images = images.assign(
        sha256=None, bytes=1, width=1, height=1, phash=None, signature=None, blur=None, exposure=None
    )
    write_frame(images, PROJECT.images, IMAGES)
    texts = [f"text {number}" for number in range(len(text_vectors))]
    queries = pd.DataFrame({"query_id": query_ids, "text": texts, "image_id": image_ids, "split": splits})
    write_frame(queries, PROJECT.queries, QUERIES)
    cosines = (image_vectors @ text_vectors.T)[:N_TRAIN, :N_TRAIN]
    write_ratings(image_ids[:N_TRAIN], query_ids[:N_TRAIN], cosines)
    return tmp_path


def normalise_rows(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write_frame(frame: pd.DataFrame, path: Path, schema: pa.Schema) -> None:
    write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), path, schema)


def write_ratings(image_ids: list[str], query_ids: list[str], cosines: np.ndarray) -> None:
    """Write ratings and relevance for every combination of an image and a query."""
    pairs = pd.MultiIndex.from_product([image_ids, query_ids], names=["image_id", "query_id"]).to_frame(index=False)
    relevances = np.clip((cosines.reshape(-1) + 1) / 2, 0, 1)
    expert = pairs.assign(
        rater=None, votes=1, source="expert", rating=np.round(1 + 3 * relevances), scale_min=1.0, scale_max=4.0
    )
    crowd = pairs.assign(
        rater=None, votes=3, source="crowd", rating=np.round(3 * relevances) / 3, scale_min=0.0, scale_max=1.0
    )
    write_frame(pd.concat([expert, expert, expert, crowd]), PROJECT.ratings, RATINGS)
    relevance = pairs.assign(relevance=relevances, weight=1.0, n_expert=3, n_crowd=3, spread=0.0, sd=0.1)
    write_frame(relevance, PROJECT.relevance, RELEVANCE)
    write_table(WITHHELD.empty_table(), PROJECT.withheld, WITHHELD)
