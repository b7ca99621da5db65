"""What the service counts and times, in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from hierarchy.inference.predictor import BATCH

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SIZES = [2**power for power in range(BATCH.bit_length())]


class Metrics:
    """The metrics of one service, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, CPU time, open files
        path = ["path"]
        self.requests = Counter("two_tier_requests", "Requests.", [*path, "status"], registry=registry)
        self.seconds = Histogram("two_tier_request_seconds", "Time to answer.", path, registry=registry)
        self.running = Gauge("two_tier_requests_in_progress", "Predicted now.", registry=registry)
        self.images = Counter("two_tier_images", "Images by status.", ["status"], registry=registry)
        self.faces = Counter("two_tier_faces", "Faces predicted.", registry=registry)
        self.batches = Histogram(
            "two_tier_batch_faces", "Faces per call of the nets.", registry=registry, buckets=_SIZES
        )

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self.registry)
