"""A small project in a temporary folder: tables and vectors as the earlier stages would have written them."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, QUERIES, RATINGS, RELEVANCE, WITHHELD, write_table
from kadr.params import Params, load_params
from kadr.project import PROJECT

N_TRAIN, N_TEST, DIM = 24, 6, 8


@pytest.fixture
def small_params(project: Path) -> Params:
    """The project's params, with an embedding by one shared encoder and few trees."""
    params = load_params(project / "params.yaml")
    clip = {"clip": params.embed_images.encoders["clip"]}
    train = {
        "features": ["cosine", "product"],
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
    """A folder to run stages in: photos `i.jpg` and texts `i.jpg#0` whose vectors lie close to the photo's own.

    The ratings say the cosine: three experts and the crowd agree.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}")
    rng = np.random.default_rng(0)
    photos = _unit(rng.normal(size=(N_TRAIN + N_TEST, DIM)))
    texts = _unit(photos + 0.2 * rng.normal(size=photos.shape))
    image_ids = [f"{i:02d}.jpg" for i in range(len(photos))]
    query_ids = [f"{image_id}#0" for image_id in image_ids]
    Embeddings(image_ids, photos, {"encoder": "clip"}).write(PROJECT.image_embeddings / "clip.parquet")
    Embeddings(query_ids, texts, {"encoder": "clip"}).write(PROJECT.text_embeddings / "clip.parquet")
    splits = ["train"] * N_TRAIN + ["test"] * N_TEST
    images = pd.DataFrame({"image_id": image_ids, "path": image_ids, "split": splits, "status": "ok"})
    images = images.assign(sha256=None, bytes=1, width=1, height=1, phash=None, blur=None, exposure=None)
    _write(images, PROJECT.images, IMAGES)
    words = [f"text {i}" for i in range(len(texts))]
    _write(
        pd.DataFrame({"query_id": query_ids, "text": words, "image_id": image_ids, "split": splits}),
        PROJECT.queries,
        QUERIES,
    )
    _write_people(image_ids[:N_TRAIN], query_ids[:N_TRAIN], (photos @ texts.T)[:N_TRAIN, :N_TRAIN])
    return tmp_path


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _write(frame: pd.DataFrame, path: Path, schema: pa.Schema) -> None:
    write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), path, schema)


def _write_people(image_ids: list[str], query_ids: list[str], cosine: np.ndarray) -> None:
    pairs = pd.MultiIndex.from_product([image_ids, query_ids], names=["image_id", "query_id"]).to_frame(index=False)
    truth = np.clip((cosine.reshape(-1) + 1) / 2, 0, 1)
    rated = pairs.assign(
        rater=None, votes=1, source="expert", rating=np.round(1 + 3 * truth), scale_min=1.0, scale_max=4.0
    )
    voted = pairs.assign(
        rater=None, votes=3, source="crowd", rating=np.round(3 * truth) / 3, scale_min=0.0, scale_max=1.0
    )
    _write(pd.concat([rated, rated, rated, voted]), PROJECT.ratings, RATINGS)
    relevance = pairs.assign(relevance=truth, weight=1.0, n_expert=3, n_crowd=3, spread=0.0, sd=0.1)
    _write(relevance, PROJECT.relevance, RELEVANCE)
    write_table(WITHHELD.empty_table(), PROJECT.withheld, WITHHELD)
