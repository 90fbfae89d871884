"""The precomputed backend for images, which uses vectors that were computed elsewhere."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NoReturn, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from pydantic import Field

from kadr.encoders.base import Identity, ImageEncoder, Pixels
from kadr.encoders.vector_join import NO_VECTOR, JoinedVectors, join_by_file_name, join_vectors
from kadr.errors import EncoderError, InputError
from kadr.io.embeddings import Vectors
from kadr.io.vector_files import VectorFiles, VectorKind, open_vector_files, relative_paths
from kadr.params import DecodingParams, EncoderParams, Precision

BACKEND = "precomputed"
VECTORS_SHA256 = "vectors_sha256"
"""Key in the metadata of embeddings: SHA-256 of the files of the vectors."""
_IDENTITY = ("architecture", "weights_sha256", "preprocessing", "precision")


class PrecomputedParams(EncoderParams):
    """Settings of vectors that were computed elsewhere."""

    backend: Literal["precomputed"]
    path: str = Field(
        description="File or folder with the vectors: clip-retrieval output, .npy with IDs, .parquet or .safetensors."
    )
    model: str = Field(description="Name of the model that computed the vectors, e.g. ViT-B-32/laion2b_s34b_b79k.")
    dim: int = Field(ge=1, description="Length of a vector.")
    id_column: str | None = Field(
        None, description="Column with the ID or path of each image, or the ID or text. null finds the column by name."
    )
    vector_column: str | None = Field(
        None, description="Column of vectors in a Parquet file. null finds the column by its type."
    )

    @property
    def weight_paths(self) -> dict[str, str]:
        """Dict with the key `path` and the file or folder of the vectors."""
        return {"path": self.path}

    @property
    def vector_space(self) -> str:
        """Normalised name of the model that computed the vectors."""
        return normalise_model(self.model)


def normalise_model(name: str) -> str:
    """Return the name of a model without its library, and with a slash before the tag of its weights.

    >>> normalise_model("open_clip:ViT-B-32/openai"), normalise_model("open_clip ViT-B-32 openai")
    ('ViT-B-32/openai', 'ViT-B-32/openai')
    """
    return "/".join(re.sub(r"^open_clip[ :]", "", name.strip()).split())


def open_params(params: PrecomputedParams, kind: VectorKind) -> VectorFiles:
    """Open the vectors of images or texts that the settings name.

    Raises:
        InputError: the files cannot be read, or the vectors have another length.
    """
    path = Path(params.path).expanduser()
    files = open_vector_files(path, kind, id_column=params.id_column, vector_column=params.vector_column)
    if files.dim != params.dim:
        raise InputError(
            f"{files.files[0].path}: the vectors have {files.dim} dimensions, but `dim` is {params.dim}. Correct the "
            "setting, or use the vectors of the encoder that it describes."
        )
    return files


def make_identity(params: PrecomputedParams, metadata: Mapping[str, str]) -> Identity:
    """Return the identity of the encoder that computed the vectors.

    Args:
        params: settings of the vectors.
        metadata: description of the encoder in the files. It can be empty.

    Raises:
        EncoderError: the files name another model than the settings.
    """
    written = metadata.get("encoder", params.model)
    if normalise_model(written) != params.vector_space:
        raise EncoderError(
            f"{params.path}: the vectors were computed by {written}, but `model` is {params.model}. Correct the "
            "setting, or use the vectors of this model."
        )
    if all(metadata.get(field) for field in _IDENTITY):
        return Identity(written, *(metadata[field] for field in _IDENTITY))
    return Identity(params.model, f"{BACKEND} {params.vector_space} {params.dim}", "", "", "")


def make_metadata(identity: Identity, files: VectorFiles) -> dict[str, str]:
    """Return the metadata of vectors: the identity of the encoder, and the SHA-256 of the files."""
    return identity.metadata | {VECTORS_SHA256: files.digest()}


def is_precomputed(metadata: Mapping[str, str]) -> bool:
    """Return whether the identity of an encoder names only the model, because the vectors were computed elsewhere."""
    return metadata.get("architecture", "").partition(" ")[0] == BACKEND


class PrecomputedImageEncoder(ImageEncoder):
    """Image vectors that were computed elsewhere. The encoder cannot embed other images.

    Args:
        params: settings of the vectors.

    Raises:
        InputError: the files cannot be read, or the vectors have another length.
        EncoderError: the files name another model.
    """

    params_model = PrecomputedParams

    def __init__(self, params: PrecomputedParams) -> None:
        self.files = open_params(params, "image")
        self.identity, self.dim = make_identity(params, self.files.metadata), params.dim

    @classmethod
    def load(cls, params: PrecomputedParams, precision: Precision) -> Self:
        """Open the files of vectors. The precision is ignored."""
        return cls(params)

    def use_decoding(self, decoding: DecodingParams) -> None:
        """Ignore the settings of the image decoder, because no image is decoded."""

    def select(self, images: pa.Table) -> tuple[JoinedVectors, dict[str, str]]:
        """Return the vectors of the valid images in a table. The vectors stay in their files.

        Vectors are joined by image ID, then by path, and then by file name where exactly one image fits.

        Args:
            images: images in the schema IMAGES.

        Returns:
            The vectors of the images that have one, sorted by ID, and the status of the other images.

        Raises:
            InputError: the files have different vectors for one image.
        """
        valid = images.filter(pc.equal(images["status"], "ok")).select(["image_id", "path"])
        valid = _drop_repeated_ids(valid.sort_by([("image_id", "ascending"), ("path", "ascending")]))
        ids, paths = (valid[name].combine_chunks() for name in ("image_id", "path"))
        metadata = make_metadata(self.identity, self.files)
        joined = join_vectors(self.files, ids, [ids, paths], metadata=metadata)
        if NO_VECTOR in joined.problems.values():
            id_list = ids.to_pylist()
            by_file = dict(zip(relative_paths(paths).to_pylist(), id_list, strict=True)) | {id_: id_ for id_ in id_list}
            file_names = join_by_file_name(self.files, by_file)
            joined = join_vectors(self.files, ids, [ids, paths, file_names], metadata=metadata)
        return joined, joined.problems

    def preprocess(self, image: Image.Image) -> Pixels:
        """Raise EncoderError, because the model that computed the vectors is not available."""
        self._refuse()

    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Raise EncoderError, because the model that computed the vectors is not available."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise EncoderError(
            f"The image encoder of {self.identity.encoder} has only the vectors in {self.files.path}, so it cannot "
            "embed another image. Use an image that has a vector, or set `backend` to the library of the model."
        )


def _drop_repeated_ids(images: pa.Table) -> pa.Table:
    """Return the last row of each image ID in a sorted table."""
    ids = images["image_id"]
    differs = pc.not_equal(ids.slice(0, max(0, len(ids) - 1)), ids.slice(1))
    is_last = np.append(differs.to_numpy().astype(bool), np.ones(min(1, len(ids)), bool))
    return images if is_last.all() else images.filter(pa.array(is_last))
