"""The `ingest` stage validates the raw dataset folder, and writes the tables and the data docs."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from kadr.cli.stage import Metrics, run_stage
from kadr.ingest import ingest
from kadr.io.schemas import CAPTIONS, IMAGES, LEAKS, QUARANTINE, QUERIES, RATINGS, write_table
from kadr.params import Params
from kadr.project import PROJECT

OUTPUTS = {
    "images": (PROJECT.images, IMAGES),
    "corpus": (PROJECT.corpus, IMAGES),
    "queries": (PROJECT.queries, QUERIES),
    "captions": (PROJECT.captions, CAPTIONS),
    "ratings": (PROJECT.ratings, RATINGS),
    "quarantine": (PROJECT.quarantine, QUARANTINE),
    "leaks": (PROJECT.leaks, LEAKS),
}


def main(params: Params) -> Metrics:
    """Read and validate the dataset folder, and write the results. If the validation fails, write no files."""
    result = ingest(params.ingest, PROJECT.expectations)
    for name, (path, schema) in OUTPUTS.items():
        write_table(result.tables[name], path, schema)
    write_pages(result.data_docs, PROJECT.data_docs)
    return result.metrics


def write_pages(pages: Mapping[str, str], folder: Path) -> None:
    """Replace a folder with a new folder that contains each page as `<name>.html`."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    for name, page in pages.items():
        (partial / f"{name}.html").write_text(page, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


if __name__ == "__main__":
    run_stage("ingest", main)
