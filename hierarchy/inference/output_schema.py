"""JSON Schema of one face's prediction: a line of `predict --json`, and a face of the REST service."""

from typing import Any, Final

from hierarchy.inference.predictor import EXPLANATION, SET

_SHARE: Final = {"type": "number", "minimum": 0, "maximum": 1}


def _optional(kind: dict[str, Any], description: str) -> dict[str, Any]:
    return {"anyOf": [kind, {"type": "null"}], "description": description}


FACE: Final[dict[str, Any]] = {
    "face": _optional(
        {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4},
        "[x, y, width, height] in pixels of the upright image; null: the image shows no face",
    ),
    "score": _optional(_SHARE, "of the face detector; null: none was run"),
    "branch": _optional({"type": "string"}, "predicted branch of the tree; null without a face"),
    "label": _optional({"type": "string"}, "predicted leaf; null below the minimum confidence"),
    "confidence": _optional(
        _SHARE, "probability of the label, else of the branch; null without a face and for labels only"
    ),
    "probabilities": {
        "type": "object",
        "additionalProperties": _SHARE,
        "description": "by leaf, sum to one; empty without a face and for labels only",
    },
}
OPTIONAL: Final[dict[str, Any]] = {
    SET: {
        "type": "array",
        "items": {"type": "string"},
        "description": "with --coverage: leaves, or branches for all of theirs, that hold the true leaf with "
        "this probability; absent without a face",
    },
    EXPLANATION: {
        "type": "object",
        "description": "with --explain: a class of the deciding net (node); by part of a face, its share "
        "of all drops of that probability where it is covered; whether landmarks place the parts",
        "properties": {
            "node": {"type": "string"},
            "class": {"type": "string"},
            "parts": {"type": "object", "additionalProperties": _SHARE},
            "landmarks": {"type": "boolean"},
        },
        "required": ["node", "class", "parts", "landmarks"],
    },
}


def face_schema(path: bool = True) -> dict[str, Any]:
    """The schema of a face: of the command line with the `path` of its image and prediction sets."""
    name = {"path": {"type": "string", "description": "of the image; file.csv#row for a row of a data file"}}
    required = {**(name if path else {}), **FACE}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Prediction of a face",
        "type": "object",
        "properties": required | (OPTIONAL if path else {}),
        "required": list(required),
    }
