"""The library room's server: search, photos and the judging mode over HTTP, and the web page that uses them."""

from kadr.serve.access import check_address
from kadr.serve.annotation import Judging
from kadr.serve.app import create_app
from kadr.serve.hot_reload import Live
from kadr.serve.limits import Limits
from kadr.serve.prometheus import Metrics
from kadr.serve.ratings_file import RatingsFile
from kadr.serve.run import run
from kadr.serve.service import Service

__all__ = ["Judging", "Limits", "Live", "Metrics", "RatingsFile", "Service", "check_address", "create_app", "run"]
