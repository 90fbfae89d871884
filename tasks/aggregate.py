"""Stage aggregate: ratings in; one relevance per pair of photo and text out."""

import pyarrow as pa

from kadr.aggregate import aggregate, figures
from kadr.params import Params
from kadr.schemas import RATINGS, RELEVANCE, read_table, write_table
from tasks import paths
from tasks.stage import Metrics, run


def main(params: Params) -> Metrics:
    """Aggregate the ratings and write the relevance."""
    ratings = read_table(paths.RATINGS, RATINGS).to_pandas()
    relevance = aggregate(ratings, params.aggregate)
    write_table(pa.Table.from_pandas(relevance, preserve_index=False), paths.RELEVANCE, RELEVANCE)
    return figures(relevance)


if __name__ == "__main__":
    run("aggregate", main)
