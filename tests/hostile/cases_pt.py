"""Hostile files of PyTorch nets: headers, types, metadata, weights."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from harness import Case

from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, VALENCE

NET: Final = VGGConfig(((4,),))
TENSOR: Final = "logits.weight"
TYPES: Final = (
    "BOOL",
    "U8",
    "I8",
    "I16",
    "F16",
    "BF16",
    "I32",
    "F32",
    "F64",
    "I64",
    "X9",
    "",
    None,
    1,
    [],
    {},
)
SHAPES: Final = ([], [2**40, 2**20], [-1], [0], [1.5], "x", None, [[]], [2**63], [6, 4, 1])
OFFSETS: Final = ([0, 2**50], [2**50, 0], [0, 0], [-1, 1], [], "x", None, [0], [5, 3])
ABOUT: Final[dict[str, Any]] = {
    "node": (None, [], {}, "", "x", "router", 1),
    "tree": (None, [], {}, {"a": ["b"]}, {"a": 1, "b": 2}, "valence", {"a": ["x"] * 9**5, "b": ["y"]}),
    "net": (
        *(None, [], {}, {"backbone": "vgg16"}, {"backbone": "x"}, {"stages": "x"}, {"crop": 0}),
        *({"stages": [[100_000_000]]}, {"stages": [[20_000, 20_000]]}, {"dense": [10**30]}),
    ),
}


def _file(head: Any, body: bytes, length: int | None = None) -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _files() -> Iterator[tuple[str, bytes]]:
    from pt_files import serialization
    from pt_files.build import build

    good = serialization.to_bytes(build(VALENCE, FLAT, NET))
    end = 8 + struct.unpack("<Q", good[:8])[0]
    head, body = json.loads(good[8:end]), good[end:]
    about = json.loads(head["__metadata__"][serialization.ABOUT])
    for length in (0, 1, 10, 2**31, 2**40, 2**63, 2**64 - 1):
        yield f"header of {length}", _file(head, body, length)
    for text in (b"", b"{}", b"[]", b"null", b"[" * 50_000, b'{"a":' * 50_000, b"\xff" * 100, b" " * 100):
        yield f"header {text[:8]!r}", _file(text, body)
    for key, values in {"dtype": TYPES, "shape": SHAPES, "data_offsets": OFFSETS}.items():
        for value in values:
            yield f"{key} {value!r}", _file({**head, TENSOR: {**head[TENSOR], key: value}}, body)
    for text in ("", "[]", "null", "1", "[" * 50_000, "{}", '{"a":' * 50_000):
        yield f"metadata {text[:8]!r}", _file({**head, "__metadata__": {serialization.ABOUT: text}}, body)
    for key, values in ABOUT.items():
        for value in values:
            text = json.dumps({**about, key: value})
            yield f"{key} {value!r:.60}", _file({**head, "__metadata__": {serialization.ABOUT: text}}, body)
    for name in [name for name in head if name != "__metadata__"]:
        yield f"without {name}", _file({key: value for key, value in head.items() if key != name}, body)
    yield "weights NaN", _file(head, b"\xff\x7f" * (len(body) // 2))
    for cut in range(1, len(good), len(good) // 20):
        yield f"cut at {cut}", good[:cut]
    yield "longer", good + b"x" * 100
    yield "pickle", b"\x80\x04\x95" + good


def _check(data: bytes) -> Callable[[Path], str | None]:
    def check(folder: Path) -> str | None:
        from hierarchy import routing
        from pt_files import serialization

        path = folder / "flat.safetensors"
        path.write_bytes(data)
        try:
            logits = serialization.Lazy(path)(np.zeros((2, 48, 48), np.uint8))
            routing.check_finite(logits, str(path))
        except InputError as error:
            lines = str(error).splitlines()
            return None if len(lines) == 1 and str(path) in lines[0] else f"refusal of {lines}"
        return None

    return check


def cases() -> Iterator[Case]:
    """All cases; none where PyTorch is not installed."""
    try:
        files = list(_files())
    except ModuleNotFoundError:
        return
    for name, data in files:
        yield Case("PyTorch net", name, _check(data))
