"""Read and write files of vectors that exist already: NumPy with IDs, clip-retrieval, Parquet and safetensors."""

from kadr.io.vector_files.id_columns import TEXT_COLUMNS
from kadr.io.vector_files.listing import list_vector_images, relative_paths
from kadr.io.vector_files.opening import VectorKind, open_vector_files
from kadr.io.vector_files.vector_file import VectorFile, VectorFiles
from kadr.io.vector_files.writing import VECTOR_FORMATS, VectorFormat, VectorTable, write_vector_files

__all__ = [
    "TEXT_COLUMNS",
    "VECTOR_FORMATS",
    "VectorFile",
    "VectorFiles",
    "VectorFormat",
    "VectorKind",
    "VectorTable",
    "list_vector_images",
    "open_vector_files",
    "relative_paths",
    "write_vector_files",
]
