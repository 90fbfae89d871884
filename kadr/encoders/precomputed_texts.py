"""The precomputed backend for texts, which uses vectors that were computed elsewhere."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from kadr.encoders.base import Identity, TextEncoder, read_identity
from kadr.encoders.precomputed import PrecomputedParams, make_identity, make_metadata, open_params
from kadr.encoders.vector_join import NO_VECTOR, join_vectors
from kadr.errors import EncoderError, SearchError
from kadr.io.embeddings import Embeddings, Vectors, VectorSource
from kadr.io.texts import normalise_text
from kadr.io.vector_files import TEXT_COLUMNS, VectorFiles
from kadr.params import Precision

logger = logging.getLogger(__name__)

TEXTS_NAME = "texts.parquet"
"""File of the texts and their vectors in the folder of a saved encoder."""

MAX_OTHER_TEXTS = 200_000
"""Maximum number of texts that are saved for search in addition to the queries and captions of the project."""

_IDENTITY = ("encoder", "architecture", "weights_sha256", "preprocessing", "precision")


class PrecomputedTextEncoder(TextEncoder):
    """Text vectors that were computed elsewhere. The encoder cannot embed other texts.

    Args:
        identity: identity of the model that computed the vectors.
        dim: length of each vector.
        texts: texts with a vector.
        vectors: vector of each text, (n, d) float32.
        files: files with the vectors of these and other texts. None for a saved encoder.
    """

    params_model = PrecomputedParams

    def __init__(
        self,
        identity: Identity,
        dim: int,
        texts: Sequence[str] = (),
        vectors: Vectors | None = None,
        files: VectorFiles | None = None,
    ) -> None:
        self.identity, self.dim = identity, dim
        self._files = files
        self._texts = list(texts)
        self._vectors = np.empty((0, dim), np.float32) if vectors is None else vectors
        self._rows = {normalise_text(text): row for row, text in reversed(list(enumerate(texts)))}

    @classmethod
    def fit(cls, params: PrecomputedParams, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """Open the files of vectors. The arguments except the settings are ignored.

        Raises:
            InputError: the files cannot be read, or the vectors have another length.
            EncoderError: the files name another model.
        """
        files = open_params(params, "text")
        return cls(make_identity(params, files.metadata), params.dim, files=files)

    @classmethod
    def load(cls, params: PrecomputedParams, precision: Precision, folder: Path) -> Self:
        """Load the texts and vectors that `save` wrote.

        Raises:
            SchemaError: the file of the vectors is missing or damaged.
            EncoderError: the file of the identity is missing or damaged.
        """
        saved = read_identity(folder)
        embeddings = Embeddings.read(folder / TEXTS_NAME)
        identity = Identity(*(saved.get(field, "") for field in _IDENTITY))
        return cls(identity, embeddings.dim, embeddings.ids, embeddings.vectors)

    def select(self, ids: Sequence[str], texts: Sequence[str]) -> tuple[Self, Embeddings]:
        """Find the vectors of texts by their IDs, by the texts themselves, and by the normalised texts.

        Args:
            ids: ID of each text.
            texts: texts.

        Returns:
            An encoder with these texts and other texts in the files, and the embeddings of the texts, sorted by ID.

        Raises:
            InputError: the files have different vectors for one text.
            EncoderError: a text has no valid vector.
        """
        if self._files is None:
            raise EncoderError("The files of the text vectors are not open. Load the encoder with `fit`.")
        text_by_id = dict(sorted(zip(ids, texts, strict=True)))
        distinct = sorted(set(texts))
        joined = join_vectors(self._files, distinct, [text_by_id, {text: text for text in distinct}])
        known = _vectors_by_text(joined)
        missing = [text for text, problem in joined.problems.items() if problem == NO_VECTOR]
        known |= _join_normalised(self._files, missing) if missing else {}
        if without := [text for text in distinct if text not in known]:
            raise EncoderError(
                f"{self._files.path}: {len(without):,} of {len(distinct):,} texts have no valid vector, such as "
                f"{', '.join(map(repr, without[:3]))}. Add the vectors of these texts, or use another text encoder."
            )
        rows = {text: row for row, text in enumerate(known)}
        vectors = np.stack(list(known.values())) if known else np.empty((0, self.dim), np.float32)
        metadata = make_metadata(self.identity, self._files)
        own = Embeddings(list(text_by_id), vectors[[rows[text] for text in text_by_id.values()]], metadata)
        others = _read_other_texts(self._files, known)
        encoder = type(self)(
            self.identity, self.dim, [*known, *others.ids], np.concatenate([vectors, others.vectors]), self._files
        )
        return encoder, own

    def save(self, folder: Path) -> None:
        """Save the identity, the texts and their vectors."""
        super().save(folder)
        Embeddings(self._texts, self._vectors, self.identity.metadata).write(folder / TEXTS_NAME)

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts, (n_texts, d) float32.

        Raises:
            SearchError: a text has no vector.
        """
        missing = [text for text in texts if normalise_text(text) not in self._rows]
        if missing:
            raise SearchError(
                f"The text {missing[0]!r} has no vector, because only {len(self._texts):,} texts were embedded with "
                f"{self.identity.encoder}. Use one of these texts, or replace the backend precomputed in "
                "embed_texts.encoders with the model that computed the vectors."
            )
        rows = np.array([self._rows[normalise_text(text)] for text in texts], dtype=np.int64)
        return self._vectors[rows]


def _join_normalised(files: VectorFiles, texts: Sequence[str]) -> dict[str, Vectors]:
    """Return the vector of each text whose normalised form equals the normalised form of a text in the files."""
    wanted = sorted({normalise_text(text) for text in texts})
    spellings: dict[str, str] = {}
    for column in _text_columns(files):
        for written in files.column(column).drop_null().unique().to_pylist():
            spellings.setdefault(normalise_text(written), written)
    names = {spellings[text]: text for text in wanted if text in spellings}
    joined = join_vectors(files, list(names.values()), [names])
    vectors = _vectors_by_text(joined)
    return {text: vectors[normalise_text(text)] for text in texts if normalise_text(text) in vectors}


def _vectors_by_text(source: VectorSource) -> dict[str, Vectors]:
    embeddings = source.load()
    return dict(zip(embeddings.ids, embeddings.vectors, strict=True))


def _read_other_texts(files: VectorFiles, known: Mapping[str, Vectors]) -> Embeddings:
    """Return the texts in the files that are not known, and their vectors."""
    taken = {normalise_text(text) for text in known}
    others: dict[str, str] = {}
    for column in _text_columns(files)[:1]:
        for written in files.column(column).drop_null().unique().to_pylist():
            if normalise_text(written) not in taken:
                others.setdefault(normalise_text(written), written)
    if len(others) > MAX_OTHER_TEXTS:
        logger.warning("%s: only %d of %d other texts can be searched.", files.path, MAX_OTHER_TEXTS, len(others))
    selected = list(others.values())[:MAX_OTHER_TEXTS]
    return join_vectors(files, selected, [{text: text for text in selected}], only_first=True).load()


def _text_columns(files: VectorFiles) -> list[str]:
    return [column for column in files.columns if column.lower() in TEXT_COLUMNS]
