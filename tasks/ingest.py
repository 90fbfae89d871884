"""Stage ingest: the raw folder in; tables of photos, texts, captions and ratings out, and a quarantine of the rest."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from kadr.cli.stage import Metrics, run
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
    """Read, check and write the raw input; nothing is written unless all of it passes."""
    ingested = ingest(params.ingest, PROJECT.expectations)
    for name, (path, schema) in OUTPUTS.items():
        write_table(ingested.tables[name], path, schema)
    write_pages(ingested.data_docs, PROJECT.data_docs)
    return ingested.metrics


def write_pages(pages: Mapping[str, str], folder: Path) -> None:
    """Write `<name>.html` of each page into a folder of their own, whole or not at all."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    for name, page in pages.items():
        (partial / f"{name}.html").write_text(page, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


if __name__ == "__main__":
    run("ingest", main)
