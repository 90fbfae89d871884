"""Reader for datasets that the `datasets` package saved with `save_to_disk`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from kadr.ingest.containers.container import Sample, SetAside, find_files, part_path
from kadr.ingest.containers.table_samples import BATCH_ROWS, ReadBatches, read_samples


class ArrowDataset:
    """Reader for Arrow files with a column of images, which `save_to_disk` of the `datasets` package writes."""

    layout = "Arrow files with an image column, as `save_to_disk` of the `datasets` package writes them"
    priority = 1

    def recognises(self, source: Path) -> bool:
        """Return whether a file or folder contains Arrow files."""
        return bool(find_files(source, ".arrow"))

    def parts(self, source: Path) -> list[str]:
        """Return the Arrow files. Of a saved dataset, return only the files that its state.json lists.

        Cached results of `map` and `filter` are in other files of the same folder.
        """
        parts = find_files(source, ".arrow")
        listed = {
            folder: _listed_files(source / folder) for folder in {str(Path(part).parent) for part in parts if part}
        }
        return [part for part in parts if not part or _is_listed(Path(part), listed)]

    def read(self, source: Path, part: str, max_bytes: int) -> Iterator[Sample | SetAside]:
        """Read the rows of one file. A file that is damaged or has no images is set aside.

        Raises:
            InputError: several columns fit equally well.
        """
        return read_samples(part_path(source, part), _open, max_bytes)


@contextmanager
def _open(path: Path) -> Iterator[tuple[pa.Schema, ReadBatches]]:
    """Open an Arrow file in the stream format, which `datasets` writes. Long batches are divided."""
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:

        def read_batches(columns: list[str]) -> Iterator[pa.RecordBatch]:
            for batch in reader:
                for start in range(0, len(batch), BATCH_ROWS):
                    yield batch.slice(start, BATCH_ROWS).select(columns)

        yield reader.schema, read_batches


def _listed_files(folder: Path) -> set[str] | None:
    """Return the data files that state.json of a saved dataset lists, or None if there is no such list."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return {entry["filename"] for entry in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_listed(part: Path, listed: dict[str, set[str] | None]) -> bool:
    names = listed[str(part.parent)]
    return names is None or part.name in names
