"""Settings of the REST service: what it loads, its limits, and who may ask."""

import re
from dataclasses import dataclass, field

from hierarchy import runs, runtimes
from hierarchy.data.images import MAX_PIXELS
from hierarchy.errors import InputError
from hierarchy.vision.detectors import AUTO, STILL, Searching

TOKEN_VARIABLE = "TWO_TIER_TOKEN"  # noqa: S105 - the name of an environment variable
TOKEN_BYTES = 1 << 12


@dataclass(frozen=True)
class Settings:
    """Settings of one service.

    Attributes:
        run, engine, detector, searching: as of `predict`.
        max_bytes: of the body of a request.
        max_pixels: of an image, by its header; at most `images.MAX_PIXELS`.
        max_faces: detected in an image.
        max_images: in a request to /predict.
        max_batch: images in a request to /predict/batch.
        max_requests: predicted at the same time; others are refused with 429.
        timeout: seconds to send a request, and seconds to predict it.
        workers: threads that decode images and detect faces; they wait for the nets too, so more than cores.
        token: that every request but /healthz needs; None: open.
        origins: web origins that browsers may call from; none by default.
        hosts: names under which browsers may ask, see `apps.guard`.

    Raises:
        InputError: a token that HTTP cannot carry, or of more than TOKEN_BYTES.
    """

    run: str = runs.DEFAULT_RUN
    engine: str = runtimes.AUTO
    detector: str = AUTO
    searching: Searching = STILL
    max_bytes: int = 16 * 2**20
    max_pixels: int = MAX_PIXELS
    max_faces: int = 64
    max_images: int = 32
    max_batch: int = 1000
    max_requests: int = 64
    timeout: float = 30.0
    workers: int = field(default_factory=lambda: 4 * runtimes.cores())
    token: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        token = self.token
        if token is not None and not re.fullmatch(rf"[!-~]{{1,{TOKEN_BYTES}}}", token):
            raise InputError(
                f"token in ${TOKEN_VARIABLE}: expected up to {TOKEN_BYTES:,} printable ASCII characters "
                "without spaces"
            )
