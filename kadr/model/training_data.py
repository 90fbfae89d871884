"""The rated pairs with their embeddings: what the relevance model is trained and evaluated on."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kadr.errors import ParamsError
from kadr.features import Captioned, Corpus, FeatureMatrix, Images, Texts
from kadr.io.embeddings import Embeddings, Rows
from kadr.io.query_groups import query_groups
from kadr.io.schemas import CAPTIONS, PAIR, QUERIES, RELEVANCE, WITHHELD, read_table
from kadr.model.folds import Cell, Folds, assign_folds, cells
from kadr.model.lightgbm import Learner, Scores
from kadr.model.relevance_model import CAPTIONED, FeatureBlocks
from kadr.params import Params
from kadr.project import PROJECT


@dataclass(frozen=True)
class Pairs:
    """The rated pairs as rows of photos and texts, and what people said of them."""

    table: pd.DataFrame
    images: Images
    texts: Texts
    image_rows: Rows
    text_rows: Rows
    own_image: dict[str, str]

    @property
    def relevance(self) -> Scores:
        """(n_pairs,) in 0..1."""
        return self.table["relevance"].to_numpy()

    @property
    def weight(self) -> Scores:
        """(n_pairs,) > 0."""
        return self.table["weight"].to_numpy()

    def of(self, tables: "Tables") -> "Pairs":
        """The same pairs by the encoders of `tables`."""
        text_of = dict(zip(self.texts.ids, self.texts.texts, strict=True))
        images, texts = Images.select(tables.images, self.images.ids), Texts.select(tables.texts, text_of)
        return replace(self, images=images, texts=texts)

    def features(self, blocks: FeatureBlocks) -> FeatureMatrix:
        """The pairs' feature matrix of these blocks."""
        return blocks.build(self.images, self.texts, self.image_rows, self.text_rows)

    def learner(self, matrix: FeatureMatrix, params: Params) -> Learner:
        """What learns the relevance from these features of the pairs."""
        return Learner(matrix.values, self.relevance, self.weight, params.train, params.seed)


@dataclass(frozen=True)
class Tables:
    """Everything that stage embed wrote, by encoder."""

    images: dict[str, Embeddings]
    texts: dict[str, Embeddings]

    @classmethod
    def read(cls, params: Params) -> "Tables":
        """Read exactly the encoders that params name."""
        images = Embeddings.read_all(PROJECT.image_embeddings, params.embed_images.encoders)
        return cls(images, Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders))

    def only(self, params: Params) -> "Tables":
        """Those of the encoders that params name."""
        images = {name: self.images[name] for name in params.embed_images.encoders}
        return Tables(images, {name: self.texts[name] for name in params.embed_texts.encoders})


def read_pairs(tables: Tables) -> Pairs:
    """The rated pairs that are the model's, with the vectors of their photos and texts."""
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    withheld = pd.MultiIndex.from_frame(read_table(PROJECT.withheld, WITHHELD).to_pandas())
    relevance = relevance[~pd.MultiIndex.from_frame(relevance[PAIR]).isin(withheld)].reset_index(drop=True)
    queries = read_table(PROJECT.queries, QUERIES).to_pandas().set_index("query_id")
    image_ids, image_rows = np.unique(relevance["image_id"].to_numpy(dtype=str), return_inverse=True)
    query_ids, text_rows = np.unique(relevance["query_id"].to_numpy(dtype=str), return_inverse=True)
    rated = queries.loc[query_ids]
    images = Images.select(tables.images, image_ids.tolist())
    texts = Texts.select(tables.texts, rated["text"].to_dict())
    return Pairs(relevance, images, texts, image_rows, text_rows, rated["image_id"].dropna().to_dict())


def choose_features(tables: Tables, params: Params) -> FeatureBlocks:
    """The blocks of train.features; the corpus is fitted where one of them needs it."""
    if CAPTIONED not in params.train.features:
        return FeatureBlocks(params.train.features, None)
    captions = read_table(PROJECT.captions, CAPTIONS).to_pandas()
    if captions.empty:
        raise ParamsError(
            "train.features names `captioned`, and no photo has captions: set ingest.corpus, or take it off the list"
        )
    corpus = Corpus.select(tables.images, tables.texts, captions, params.train.corpus_limit)
    return FeatureBlocks(params.train.features, Captioned.fit(corpus))


def make_image_folds(pairs: Pairs, params: Params) -> Folds:
    """The image fold of every pair."""
    return assign_folds(pairs.table["image_id"].tolist(), params.train.image_folds, params.seed)


def make_grid(pairs: Pairs, params: Params) -> list[Cell]:
    """The cells of image folds x query folds."""
    image_folds = make_image_folds(pairs, params)
    groups = query_groups(pairs.table["query_id"].tolist(), pairs.own_image)
    query_folds = assign_folds(groups, params.train.query_folds, params.seed + 1)
    return list(cells(image_folds, query_folds))
