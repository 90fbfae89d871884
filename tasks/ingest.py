"""The `ingest` stage validates the raw dataset folder, and writes the tables and the data docs."""

import logging
import shutil
from pathlib import Path

from kadr.cli.stage import Metrics, run_stage
from kadr.ingest.pipeline import ingest
from kadr.ingest.validation import NOT_CRITICAL, Validation
from kadr.io.schemas import CAPTIONS, IMAGES, LEAKS, QUARANTINE, QUERIES, RATINGS, write_table
from kadr.params import Params
from kadr.project import PROJECT
from kadr.report.data_docs import FAILED_ROWS, DataDocs, render_data_docs, write_pages
from kadr.report.rejected_input import keep_rejected_input

logger = logging.getLogger(__name__)

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
    """Read and validate the dataset folder, and write the tables and the data docs. Invalid input writes neither."""
    with keep_rejected_input(params.ingest.source):
        result = ingest(params.ingest, PROJECT.expectations, params.decoding)
    for name, (path, schema) in OUTPUTS.items():
        write_table(result.tables[name], path, schema)
    quarantine = result.tables["quarantine"]
    docs = DataDocs(params.ingest.source, PROJECT.data_docs, result.validation, quarantine, str(PROJECT.quarantine))
    write_pages(render_data_docs(docs), PROJECT.data_docs)
    log_warnings(result.validation, PROJECT.data_docs)
    shutil.rmtree(PROJECT.rejected_input, ignore_errors=True)
    return result.metrics


def log_warnings(validation: Validation, data_docs: Path) -> None:
    """Log each failed expectation that is not critical, with the first failed rows and the file with all of them."""
    for result in validation.failed(*NOT_CRITICAL):
        place = f". {data_docs / FAILED_ROWS} lists all rows." if len(result.failed_rows) else "."
        logger.warning("%s%s", result.describe(), place)


if __name__ == "__main__":
    run_stage("ingest", main)
