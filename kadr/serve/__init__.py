"""HTTP server of `kadr serve`: the web page, and the API for search, images and annotation."""

from kadr.serve.access import check_address
from kadr.serve.annotation import Annotation
from kadr.serve.app import create_app
from kadr.serve.collections import Collections
from kadr.serve.hot_reload import HotReload
from kadr.serve.limits import Limits
from kadr.serve.prometheus import ServerMetrics
from kadr.serve.ratings_file import RatingsFile
from kadr.serve.server import run_server
from kadr.serve.service import Service
from kadr.serve.thumbnail_cache import ThumbnailCache

__all__ = [
    "Annotation",
    "Collections",
    "HotReload",
    "Limits",
    "RatingsFile",
    "ServerMetrics",
    "Service",
    "ThumbnailCache",
    "check_address",
    "create_app",
    "run_server",
]
