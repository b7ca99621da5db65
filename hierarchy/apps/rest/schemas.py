"""Bodies of requests and responses; OpenAPI describes the service from them."""

from typing import Annotated, Any, Final

import msgspec
from pydantic import BaseModel, Field, WithJsonSchema

from hierarchy.inference.output_schema import face_schema

NAME: Final = 255  # characters of an image's
EXAMPLE_IMAGE: Final = (  # a grey PNG of 1x1 pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
EXAMPLE_REQUEST: Final[dict[str, Any]] = {"images": [{"name": "face.png", "image": EXAMPLE_IMAGE}]}

Face = Annotated[
    dict[str, Any], WithJsonSchema({k: v for k, v in face_schema(path=False).items() if k != "$schema"})
]


class Image(msgspec.Struct, forbid_unknown_fields=True):
    """An image of a JSON request."""

    image: Annotated[
        str, msgspec.Meta(description="The bytes of the file in base64, or a data URI. Not an address.")
    ]
    name: Annotated[str, msgspec.Meta(max_length=NAME, description="Repeated in the answer.")] = "image"


class Images(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON request. Each image is checked separately, so that the valid ones are answered."""

    images: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1)]  # parsed after they were counted


_SCHEMAS: Final = msgspec.json.schema_components([Images, Image])[1]
IMAGES: Final = _SCHEMAS["Images"]
IMAGES["properties"]["images"]["items"] = _SCHEMAS["Image"]


class ImageAnswer(BaseModel):
    """The answer to one image: its faces, or why it was refused."""

    name: str
    status: int = Field(description="HTTP status of this image.")
    error: str | None = Field(description="Reason of a status other than 200.")
    faces: list[Face] = Field(description="The largest first; empty where the image shows none.")


class Answer(BaseModel):
    """The answer to a request."""

    run: str
    images: list[ImageAnswer]


class Refused(BaseModel):
    """Why a whole request was refused."""

    detail: str


class Health(BaseModel):
    """That the service answers."""

    status: str = "ok"


class Model(BaseModel):
    """What the service predicts with."""

    version: str
    run: str
    engine: str
    detector: str
    tree: dict[str, list[str]] = Field(description="Leaves by branch.")
    data: dict[str, Any] = Field(description="What the run was trained on.")
    scores: dict[str, Any] | None = Field(description="Accuracy by n, with intervals; null: not evaluated.")
    card: str | None = Field(description="Model card in Markdown; null: the run has none.")
    limits: dict[str, float]
