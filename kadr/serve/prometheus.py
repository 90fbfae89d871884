"""Metrics of the server for Prometheus: requests, response times, batch sizes and the loaded version."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class ServerMetrics:
    """The Prometheus metrics of one server.

    Attributes:
        registry: registry that holds the metrics below.
        requests: number of responses by method, route and status.
        request_seconds: seconds from the start of a request to the start of its response, by route.
        batch_size: number of searches in a batch.
        images: number of images in the index.
        loaded_at: load time of the index and the models, in seconds since the epoch.
        failed_reloads: number of versions that could not be loaded.
        ratings: number of saved ratings.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("kadr_requests", "Responses.", ["method", "route", "status"], registry=registry)
        self.request_seconds = Histogram(
            "kadr_request_seconds", "Seconds until the response starts.", ["route"], registry=registry
        )
        self.batch_size = Histogram("kadr_batch_size", "Searches in a batch.", buckets=_BATCH_SIZES, registry=registry)
        self.images = Gauge("kadr_images", "Images in the index.", registry=registry)
        self.loaded_at = Gauge(
            "kadr_loaded_timestamp_seconds", "Load time of the index and the models.", registry=registry
        )
        self.failed_reloads = Gauge("kadr_failed_reloads", "Versions that could not be loaded.", registry=registry)
        self.ratings = Counter("kadr_ratings", "Saved ratings.", registry=registry)


class MetricsMiddleware:
    """ASGI middleware that counts and times requests by route.

    Labels hold the route template instead of the request path, so that the number of time series stays small.

    Args:
        app: the wrapped application.
        metrics: the metrics to update.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and record the response status and time."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()

        async def send_and_record(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if route != "none" else "any"
                self.metrics.requests.labels(method, route, message["status"]).inc()
                self.metrics.request_seconds.labels(route).observe(time.perf_counter() - start)
            await send(message)

        await self.app(scope, receive, send_and_record)
