"""Training data of the relevance model: rated pairs, their embeddings, feature blocks and folds."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kadr.errors import ParamsError
from kadr.features import CaptionedCorpus, CaptionFeatures, FeatureMatrix, Images, Texts
from kadr.features.blocks import check_block_names
from kadr.features.caption_neighbours import CAPTION_NEIGHBOURS
from kadr.io.embeddings import Embeddings, Rows
from kadr.io.query_groups import query_groups
from kadr.io.schemas import CAPTIONS, PAIR, QUERIES, RELEVANCE, WITHHELD, read_table
from kadr.model.folds import Cell, Folds, assign_folds, grid_cells
from kadr.model.lightgbm import Learner, Scores
from kadr.model.relevance_model import BLOCK_NAMES, FeatureBlocks
from kadr.params import TrainParams
from kadr.project import PROJECT


@dataclass(frozen=True)
class RatedPairs:
    """Rated pairs, and the embeddings of their images and queries.

    Attributes:
        table: table with the RELEVANCE schema and n_pairs rows.
        images: distinct images of the pairs.
        texts: distinct queries of the pairs.
        image_rows: (n_pairs,) index of each pair's image in `images`.
        text_rows: (n_pairs,) index of each pair's query in `texts`.
        own_image: maps the ID of each query to the ID of the image that it was written for. Queries that were not
            written for an image are not included.
    """

    table: pd.DataFrame
    images: Images
    texts: Texts
    image_rows: Rows
    text_rows: Rows
    own_image: dict[str, str]

    @property
    def relevance(self) -> Scores:
        """Aggregated relevance of each pair: (n_pairs,) in 0..1."""
        return self.table["relevance"].to_numpy()

    @property
    def weight(self) -> Scores:
        """Training weight of each pair: (n_pairs,) positive."""
        return self.table["weight"].to_numpy()

    def with_encoders(self, tables: "EmbeddingTables") -> "RatedPairs":
        """Return the same pairs with the vectors in `tables` instead of the current vectors."""
        texts_by_id = dict(zip(self.texts.ids, self.texts.texts, strict=True))
        images = Images.select(tables.images, self.images.ids)
        return replace(self, images=images, texts=Texts.select(tables.texts, texts_by_id))

    def features(self, blocks: FeatureBlocks) -> FeatureMatrix:
        """Compute the feature matrix of the pairs."""
        return blocks.build(self.images, self.texts, self.image_rows, self.text_rows)

    def learner(self, matrix: FeatureMatrix, params: TrainParams, seed: int) -> Learner:
        """Return a learner that can be trained on any subset of the pairs.

        Args:
            matrix: feature matrix of the pairs.
            params: settings of the trees.
            seed: random seed of the trees.
        """
        return Learner(matrix.values, self.relevance, self.weight, params, seed)


@dataclass(frozen=True)
class EmbeddingTables:
    """Embeddings tables of images and texts.

    Attributes:
        images: embeddings table of the images for each image encoder, by encoder name.
        texts: embeddings table of the queries and captions for each text encoder, by encoder name.
    """

    images: dict[str, Embeddings]
    texts: dict[str, Embeddings]

    @classmethod
    def read(cls, image_encoders: Iterable[str], text_encoders: Iterable[str]) -> "EmbeddingTables":
        """Read the embeddings tables of the given encoders from the project folder."""
        images = Embeddings.read_all(PROJECT.image_embeddings, image_encoders)
        return cls(images, Embeddings.read_all(PROJECT.text_embeddings, text_encoders))

    def select(self, image_encoders: Iterable[str], text_encoders: Iterable[str]) -> "EmbeddingTables":
        """Return only the embeddings tables of the given encoders."""
        images = {name: self.images[name] for name in image_encoders}
        return EmbeddingTables(images, {name: self.texts[name] for name in text_encoders})


def read_rated_pairs(tables: EmbeddingTables) -> RatedPairs:
    """Read the rated pairs of the project and the embeddings of their images and queries.

    Pairs whose image or query is reserved for CLIP training are excluded.
    """
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    withheld = pd.MultiIndex.from_frame(read_table(PROJECT.withheld, WITHHELD).to_pandas())
    relevance = relevance[~pd.MultiIndex.from_frame(relevance[PAIR]).isin(withheld)].reset_index(drop=True)
    queries = read_table(PROJECT.queries, QUERIES).to_pandas().set_index("query_id")
    image_ids, image_rows = np.unique(relevance["image_id"].to_numpy(dtype=str), return_inverse=True)
    query_ids, text_rows = np.unique(relevance["query_id"].to_numpy(dtype=str), return_inverse=True)
    rated = queries.loc[query_ids]
    images = Images.select(tables.images, image_ids.tolist())
    texts = Texts.select(tables.texts, rated["text"].to_dict())
    return RatedPairs(relevance, images, texts, image_rows, text_rows, rated["image_id"].dropna().to_dict())


def fit_feature_blocks(tables: EmbeddingTables, params: TrainParams) -> FeatureBlocks:
    """Return the feature blocks in `train.features`.

    The block `caption_neighbours` is fitted to the captioned corpus of the project. The other blocks do not need to be
    fitted.

    Args:
        tables: embeddings tables of the encoders.
        params: the `train` section of params.yaml.

    Raises:
        ParamsError: a block name is unknown, outdated or listed twice, or the corpus has no captions.
    """
    check_block_names(params.features, BLOCK_NAMES)
    if CAPTION_NEIGHBOURS not in params.features:
        return FeatureBlocks(params.features, None)
    captions = read_table(PROJECT.captions, CAPTIONS).to_pandas()
    if captions.empty:
        raise ParamsError(
            f"train.features: the block {CAPTION_NEIGHBOURS} needs captioned images, but {PROJECT.captions} is empty. "
            "Set ingest.corpus, or remove the block from train.features."
        )
    corpus = CaptionedCorpus.select(tables.images, tables.texts, captions, params.corpus_limit)
    return FeatureBlocks(params.features, CaptionFeatures.fit(corpus))


def assign_image_folds(pairs: RatedPairs, n_folds: int, seed: int) -> Folds:
    """Return the image fold of each pair: (n_pairs,) int32."""
    return assign_folds(pairs.table["image_id"].tolist(), n_folds, seed)


def make_cells(pairs: RatedPairs, params: TrainParams, seed: int) -> list[Cell]:
    """Return one cross-validation cell for each combination of an image fold and a query fold.

    Queries that were written for the same image are in the same fold.
    """
    image_folds = assign_image_folds(pairs, params.image_folds, seed)
    groups = query_groups(pairs.table["query_id"].tolist(), pairs.own_image)
    query_folds = assign_folds(groups, params.query_folds, seed + 1)
    return list(grid_cells(image_folds, query_folds))
