"""Metrics in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """All metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("cairn_requests", "Requests", ["method", "path", "status"], registry=own)
        self.request_seconds = Histogram(
            "cairn_request_seconds", "Seconds of a request, its body included", ["path"], buckets=SECONDS, registry=own
        )
        self.images = Counter("cairn_images", "Images that workers took", registry=own)
        self.batch_images = Histogram(
            "cairn_batch_images", "Images of a batch", buckets=(1, 2, 4, 8, 16, 32), registry=own
        )
        self.batch_seconds = Histogram("cairn_batch_seconds", "Seconds of a batch", buckets=SECONDS, registry=own)
        self.queue = Gauge("cairn_queue_images", "Images that wait for a worker", registry=own)
        self.workers = Gauge("cairn_workers", "Workers that run", registry=own)
        self.restarts = Gauge("cairn_worker_restarts", "Workers that were started in place of dead ones", registry=own)
        self.jobs = Gauge("cairn_jobs", "Jobs by state", ["state"], registry=own)
        self.streams = Gauge("cairn_streams", "WebSocket streams", registry=own)

    def text(self) -> bytes:
        """Returns all values."""
        return generate_latest(self.registry)
