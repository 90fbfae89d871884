"""The serve part's figures for Prometheus: requests, their time, batches, and what is loaded."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("kadr_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram("kadr_request_seconds", "Until an answer began.", ["route"], registry=self.registry)
        buckets = (1, 2, 4, 8, 16, 32, 64)
        self.batch = Histogram("kadr_batch_size", "Searches in a batch.", buckets=buckets, registry=self.registry)
        self.photos = Gauge("kadr_photos", "Photos in the index.", registry=self.registry)
        self.loaded = Gauge(
            "kadr_loaded_timestamp_seconds", "When index and model were loaded.", registry=self.registry
        )
        self.failed = Gauge("kadr_failed_reloads", "New versions that could not be loaded.", registry=self.registry)
        self.ratings = Counter("kadr_ratings", "Ratings kept.", registry=self.registry)


class Measure:
    """ASGI middleware that counts and times requests by route, never by path, so that the figures stay few."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if route != "none" else "any"
                self.metrics.requests.labels(method, route, message["status"]).inc()
                self.metrics.seconds.labels(route).observe(time.perf_counter() - start)
            await send(message)

        await self.app(scope, receive, measured)
