"""Stage ingest: the raw folder in; tables of photos, texts, captions and ratings out, and a quarantine of the rest."""

from pathlib import Path

from kadr.ingest import ingest
from kadr.params import Params
from kadr.schemas import CAPTIONS, IMAGES, QUARANTINE, QUERIES, RATINGS, write_table
from tasks import paths
from tasks.stage import Metrics, run

SUITES = Path("expectations")
OUTPUTS = {
    "images": (paths.IMAGES, IMAGES),
    "corpus": (paths.CORPUS, IMAGES),
    "queries": (paths.QUERIES, QUERIES),
    "captions": (paths.CAPTIONS, CAPTIONS),
    "ratings": (paths.RATINGS, RATINGS),
    "quarantine": (paths.QUARANTINE, QUARANTINE),
}


def main(params: Params) -> Metrics:
    """Read, check and write the raw input; nothing is written unless all of it passes."""
    ingested = ingest(params.ingest, SUITES)
    for name, (path, schema) in OUTPUTS.items():
        write_table(ingested.tables[name], path, schema)
    return ingested.metrics


if __name__ == "__main__":
    run("ingest", main)
