"""Search an image collection by texts, by example images, or by a weighted combination of both."""

from kadr.search.grid import draw_grid
from kadr.search.query import Filters, Query, Term, parse_query
from kadr.search.results import Match
from kadr.search.searcher import Searcher
from kadr.search.searcher_loading import load_searcher

__all__ = ["Filters", "Match", "Query", "Searcher", "Term", "draw_grid", "load_searcher", "parse_query"]
