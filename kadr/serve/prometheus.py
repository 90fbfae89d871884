"""Prometheus metrics of the server: requests, response times, batch sizes and the loaded version."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class ServerMetrics:
    """The Prometheus metrics of one server.

    Attributes:
        registry: Prometheus registry in which the metrics are registered.
        requests: number of responses by HTTP method, route and status.
        request_seconds: seconds between the start of a request and the start of its response, by route.
        batch_size: number of searches per batch.
        images: number of images in the index.
        loaded_at: time when the index and the models were loaded, in seconds since the epoch.
        failed_reloads: number of failed attempts to load a new version.
        ratings: number of ratings stored since the server started.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "kadr_requests", "Number of responses.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "kadr_request_seconds", "Seconds until the response starts.", ["route"], registry=registry
        )
        self.batch_size = Histogram(
            "kadr_batch_size", "Number of searches per batch.", buckets=_BATCH_SIZES, registry=registry
        )
        self.images = Gauge("kadr_images", "Number of images in the index.", registry=registry)
        self.loaded_at = Gauge(
            "kadr_loaded_timestamp_seconds", "Time when the index and the models were loaded.", registry=registry
        )
        self.failed_reloads = Gauge(
            "kadr_failed_reloads", "Number of failed attempts to load a new version.", registry=registry
        )
        self.ratings = Counter("kadr_ratings", "Number of ratings stored.", registry=registry)


class MetricsMiddleware:
    """ASGI middleware that counts requests and measures their response time by route.

    The `route` label contains a path template such as `/images/{image_id}` instead of the full path. This limits the
    number of time series.

    Args:
        app: ASGI application to measure.
        metrics: Prometheus metrics to update.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and record the response status and the response time."""
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
