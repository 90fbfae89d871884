"""Stage train: relevance, queries and embeddings in; the relevance model and out-of-fold predictions out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.embeddings import Embeddings, Rows
from kadr.errors import ParamsError
from kadr.features import Captioned, Corpus, FeatureMatrix, Images, Texts
from kadr.folds import Cell, Folds, assign_folds, cells, image_cells, query_groups
from kadr.model import FeatureBlocks, RelevanceModel
from kadr.model.explain import block_contributions
from kadr.model.lightgbm import Learner, Scores
from kadr.model.relevance import CAPTIONED
from kadr.model.validate import FitPredict, given_baseline, mean_baseline, out_of_fold
from kadr.params import Params
from kadr.progress import progress
from kadr.schemas import CAPTIONS, PAIR, PREDICTIONS, QUERIES, RELEVANCE, WITHHELD, read_table, write_table
from tasks import paths, tracking
from tasks.run_plots import importance_plot
from tasks.stage import Metrics, run


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
        images = Embeddings.read_all(paths.IMAGE_EMBEDDINGS, params.embed_images.encoders)
        return cls(images, Embeddings.read_all(paths.TEXT_EMBEDDINGS, params.embed_texts.encoders))

    def only(self, params: Params) -> "Tables":
        """Those of the encoders that params name."""
        images = {name: self.images[name] for name in params.embed_images.encoders}
        return Tables(images, {name: self.texts[name] for name in params.embed_texts.encoders})


def read_pairs(tables: Tables) -> Pairs:
    """The rated pairs that are the model's, with the vectors of their photos and texts."""
    relevance = read_table(paths.RELEVANCE, RELEVANCE).to_pandas()
    withheld = pd.MultiIndex.from_frame(read_table(paths.WITHHELD, WITHHELD).to_pandas())
    relevance = relevance[~pd.MultiIndex.from_frame(relevance[PAIR]).isin(withheld)].reset_index(drop=True)
    queries = read_table(paths.QUERIES, QUERIES).to_pandas().set_index("query_id")
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
    captions = read_table(paths.CAPTIONS, CAPTIONS).to_pandas()
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


def baselines(pairs: Pairs, params: Params) -> Iterator[tuple[str, FitPredict]]:
    """What the model has to beat: the mean, the first shared encoder's cosine, LightGBM on the embeddings alone."""
    yield "mean", mean_baseline(pairs.relevance, pairs.weight)
    cosine = pairs.features(FeatureBlocks(["cosine"], None)).values[:, 0].astype(np.float64)
    yield "cosine", given_baseline(cosine)
    concat = pairs.features(FeatureBlocks(["concat"], None))
    yield "concat", pairs.learner(concat, params).fit_predict


def write_predictions(name: str, pairs: Pairs, scores: Scores, fold: Folds) -> None:
    """Write one model's out-of-fold scores to the predictions folder."""
    table = pairs.table[[*PAIR, "relevance"]].assign(score=scores, fold=fold)
    write_table(pa.Table.from_pandas(table, preserve_index=False), paths.PREDICTIONS / f"{name}.parquet", PREDICTIONS)


def score_seen_text(pairs: Pairs, fit_predict: FitPredict, params: Params) -> None:
    """Write the model's scores of every pair by a model that saw its text, with other photos, but not its photo."""
    grid = list(image_cells(make_image_folds(pairs, params)))
    with progress("folds of seen texts", len(grid)) as advance:
        scores, fold = out_of_fold(fit_predict, grid, len(pairs.table), advance)
    write_predictions(paths.SEEN_TEXT, pairs, scores, fold)


def train(params: Params) -> Metrics:
    """Train the relevance model, and score every rated pair out of fold by it and by its baselines."""
    tables = Tables.read(params)
    pairs = read_pairs(tables)
    grid = make_grid(pairs, params)
    blocks = choose_features(tables, params)
    matrix = pairs.features(blocks)
    learner = pairs.learner(matrix, params)
    figures: dict[str, dict[str, float]] = {}
    for name, fit_predict in [("model", learner.fit_predict), *baselines(pairs, params)]:
        with progress(f"folds of {name}", len(grid)) as advance:
            scores, fold = out_of_fold(fit_predict, grid, len(pairs.table), advance)
        write_predictions(name, pairs, scores, fold)
        if name == "model":
            figures |= {f"fold {cell.fold}": errors(pairs.relevance[cell.test], scores[cell.test]) for cell in grid}
        else:
            figures[f"baseline {name}"] = errors(pairs.relevance, scores)
    score_seen_text(pairs, learner.fit_predict, params)
    model = RelevanceModel(blocks, matrix.names, learner.fit(np.arange(len(pairs.table))))
    model.save(paths.RELEVANCE_MODEL)
    inputs = {"relevance": paths.RELEVANCE, "queries": paths.QUERIES}
    importance = model.importance()
    plots = {"importance": importance_plot(importance)}
    tracking.record_training(params, paths.RELEVANCE_MODEL, inputs, figures, plots)
    return {
        "n_pairs": len(pairs.table),
        "n_features": len(matrix.names),
        "n_cells": len(grid),
        "importance": importance,
        "shap": block_contributions(model.booster, matrix),
    }


def errors(relevance: Scores, score: Scores) -> dict[str, float]:
    """The figures of MLflow's child runs that every sample has."""
    return {"n_pairs": float(len(score)), "rmse": float(np.sqrt(np.mean((relevance - score) ** 2)))}


if __name__ == "__main__":
    run("train", train)
