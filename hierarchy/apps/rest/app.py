"""The REST application: routes, and the middleware around them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.middleware.cors import CORSMiddleware

import hierarchy
from hierarchy import fileio
from hierarchy.apps.guard import Guard
from hierarchy.apps.rest import limits, schemas
from hierarchy.apps.rest.logs import RequestLog
from hierarchy.apps.rest.metrics import MEDIA_TYPE, Metrics
from hierarchy.apps.rest.service import OK, PredictionService
from hierarchy.apps.rest.settings import Settings
from hierarchy.apps.rest.uploads import Refusal, uploads
from hierarchy.classifier import HierarchicalClassifier

DESCRIPTION: Final = (
    "Apparent facial expressions: what people who label web photographs would call an image, not what a "
    "person feels. Images are sent as bytes, never as addresses, and are not stored."
)
LINES: Final = "application/x-ndjson"
MinConfidence = Annotated[
    float, Query(ge=0, le=1, description="Below this probability of the label, only the branch is given.")
]
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": _BINARY["schema"]},
    "example": {"images": ["portrait.jpg"]},
}
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
}
BODY: Final[dict[str, Any]] = {  # of both ways to predict
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "application/json": {
                "schema": schemas.IMAGES,
                "example": schemas.EXAMPLE_REQUEST,
            },
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
        },
    }
}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": schemas.Refused, "description": reason}
    for code, reason in {
        400: "Not JSON, or not a multipart form",
        401: "Wrong or missing token",
        408: "The body came too slowly",
        413: "Too many bytes or images",
        429: "Too many requests at the same time",
    }.items()
}


def create_app(settings: Settings) -> FastAPI:
    """The application of a run; its threads end with its lifespan.

    Raises:
        InputError: no such run, engine or detector, or nets that cannot be opened.
    """
    metrics = Metrics()
    model = HierarchicalClassifier.load(settings.run, engine=settings.engine)
    service = PredictionService(settings, model, metrics)
    about = described(model, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="Two-tier expressions",
        version=about.version,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the pages would load their scripts from another host
        redoc_url=None,
    )
    app.add_exception_handler(Refusal, refused)
    _add_predictions(app, service)
    _add_state(app, about, metrics)
    app.add_middleware(limits.Concurrency, most=settings.max_requests, metrics=metrics)
    if settings.token:
        app.add_middleware(limits.BearerToken, token=settings.token)
    if settings.origins:
        headers = ["authorization", "content-type"]
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.origins), allow_methods=["*"], allow_headers=headers
        )
    app.add_middleware(RequestLog, metrics=metrics)
    app.add_middleware(Guard, HEADERS, hosts=settings.hosts, origins=settings.origins)
    return app


def _add_predictions(app: FastAPI, service: PredictionService) -> None:
    settings, run = service.settings, service.settings.run

    @app.post("/predict", openapi_extra=BODY, responses={OK: {"model": schemas.Answer}, **REFUSALS})
    async def predict(request: Request, min_confidence: MinConfidence = 0.0) -> JSONResponse:
        """Predict the faces of one or several images; each is answered or refused by its own status."""
        found = await uploads(request, settings.max_bytes, settings.max_images, settings.timeout)
        answers = await service.answers(found, min_confidence)
        return JSONResponse({"run": run, "images": answers}, _status(answers))

    @app.post("/predict/batch", openapi_extra=BODY, responses={OK: {"content": {LINES: {}}}, **REFUSALS})
    async def predict_batch(request: Request, min_confidence: MinConfidence = 0.0) -> StreamingResponse:
        """Predict many images; the answer has a line of JSON for each, in order, as soon as it is known."""
        found = await uploads(request, settings.max_bytes, settings.max_batch, settings.timeout)

        async def lines() -> AsyncIterator[str]:
            for start in range(0, len(found), settings.workers):  # leaves threads to other requests
                for answer in await service.answers(found[start : start + settings.workers], min_confidence):
                    yield json.dumps(answer) + "\n"

        return StreamingResponse(lines(), media_type=LINES)


def _status(answers: list[dict[str, Any]]) -> int:
    """200 if an image was answered, else the status of all images, or 422 if they differ."""
    codes = {answer["status"] for answer in answers}
    if OK in codes:
        return OK
    return codes.pop() if len(codes) == 1 else 422


def _add_state(app: FastAPI, about: schemas.Model, metrics: Metrics) -> None:
    @app.get("/healthz")
    async def healthz() -> schemas.Health:
        """Whether the service answers; needs no token."""
        return schemas.Health()

    @app.get("/model")
    async def model() -> schemas.Model:
        """The tree, the run, its scores and its model card."""
        return about

    @app.get("/metrics")
    async def prometheus() -> Response:
        """Counts and times, for Prometheus."""
        return Response(metrics.text(), media_type=MEDIA_TYPE)


async def refused(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that is refused as a whole."""
    status = error.status if isinstance(error, Refusal) else 422
    return JSONResponse({"detail": str(error)}, status)


def described(model: HierarchicalClassifier, settings: Settings) -> schemas.Model:
    """What /model answers."""
    run = model.run_
    scores, card = run.folder / "scores.json", run.folder / "MODEL_CARD.md"
    names = ("max_bytes", "max_pixels", "max_faces", "max_images", "max_batch", "max_requests", "timeout")
    return schemas.Model(
        version=hierarchy.__version__,
        run=run.name,
        engine=model.engine_,
        detector=settings.detector,
        tree={branch: list(leaves) for branch, leaves in model.tree_.children.items()},
        data=dict(run.manifest().data),
        scores=fileio.read_object(scores) if scores.is_file() else None,
        card=fileio.read_text(card) if card.is_file() else None,
        limits={name: getattr(settings, name) for name in names},
    )
