"""Search an image collection by texts, by example images, or by a weighted combination of both."""

from kadr.search.grid import draw_grid
from kadr.search.query import SORTS, Box, Filters, Place, Query, Sort, Term
from kadr.search.query_syntax import Reading, explain_query, parse_query
from kadr.search.results import Match
from kadr.search.searcher import Searcher
from kadr.search.searcher_loading import load_searcher

__all__ = [
    "SORTS",
    "Box",
    "Filters",
    "Match",
    "Place",
    "Query",
    "Reading",
    "Searcher",
    "Sort",
    "Term",
    "draw_grid",
    "explain_query",
    "load_searcher",
    "parse_query",
]
