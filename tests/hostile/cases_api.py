"""Arguments of the Python class: of other types, and objects whose methods raise."""

import contextlib
import datetime
import decimal
import io
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse
from harness import ROOT, Case
from PIL import Image

sys.path.insert(0, str(ROOT))

from hierarchy import HierarchicalClassifier  # noqa: E402
from hierarchy.errors import InputError  # noqa: E402

FACES: Final = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
NAMES: Final = ["happy", "sad", "fear"]
CLIP: Final = str(ROOT / "samples" / "clip.mp4")
TURN: Final = threading.Lock()


class OwnError(Exception):
    """What an object's own method raises; it may get out."""


def _raising(*methods: str) -> object:
    def fail(self: object, *_: object) -> None:
        raise OwnError

    return type("Raising", (), dict.fromkeys(methods, fail))()


def _closed() -> Image.Image:
    image = Image.new("L", (4, 4))
    image.close()
    return image


def _itself() -> list[object]:
    values: list[object] = []
    values.append(values)
    return values


VALUES: Final[dict[str, Callable[[], object]]] = {
    **{
        repr(value)[:20]: lambda value=value: value
        for value in (5, -1, 10**400, 1.5, float("nan"), float("inf"), 1j, True, "", "x", "a\0b", "\ud800")
        + ("x\ny", "x" * 10**6, b"", b"xx", [5], ["x"], [[["x"]]], [[1], [1, 2]], {}, {"a": 1}, {1}, range(3))
        + (..., int, len, object(), Path("nowhere"), Path("a\0"), decimal.Decimal("NaN"), slice(None))
        + (datetime.date(2020, 1, 1), io, memoryview(b"abc"), memoryview(FACES), ["happy"], ["happy"] * 4)
    },
    "none of it": lambda: FACES[:0],
    "one face": lambda: FACES[0],
    "a row": lambda: FACES[0, 0],
    "floats": lambda: FACES / 255,
    "objects": lambda: FACES.astype(object),
    "NaN": lambda: np.full((2, 48, 48), np.nan),
    "bool": lambda: FACES > 3,
    "complex": lambda: FACES.astype(complex),
    "masked": lambda: np.ma.masked_array(FACES, FACES > 3),
    "strided": lambda: FACES[:, ::-1],
    "0-d": lambda: np.array(5),
    "dates": lambda: np.array(["2020-01-01"], "M8"),
    "texts": lambda: np.array(["x"]),
    "records": lambda: np.zeros(3, [("a", int)]),
    "5-d": lambda: np.zeros((1, 1, 1, 1, 1)),
    "table": lambda: pd.DataFrame({"a": [1]}),
    "series": lambda: pd.Series([None] * 3),
    "categories": lambda: pd.Categorical(["happy"] * 3),
    "sparse": lambda: scipy.sparse.csr_matrix(np.eye(3)),
    "a text file": lambda: io.StringIO("x"),
    "a file": lambda: io.BytesIO(b"x"),
    "a closed image": _closed,
    "a list of itself": _itself,
    "a generator": lambda: (each for each in [FACES[0]]),
    **{
        f"raising {' '.join(methods)}": partial(_raising, *methods)
        for methods in (("__array__",), ("__len__", "__getitem__"), ("__iter__",), ("read",), ("__fspath__",))
        + (("__eq__", "__hash__"), ("__repr__",), ("__str__",), ("__getattr__",), ("__bool__",))
    },
}


@cache
def _opened() -> tuple[HierarchicalClassifier, np.ndarray]:
    classifier = HierarchicalClassifier.load()
    return classifier, classifier.predict_proba(FACES)


def _calls(value: Callable[[], Any]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every argument of a public method with a value; nothing is trained."""
    own, _ = _opened()
    load, new = HierarchicalClassifier.load, HierarchicalClassifier
    for name in ("predict", "predict_proba", "predictions", "outputs", "lazy", "read", "score"):
        yield name, lambda name=name: getattr(own, name)(value())
    yield "score y", lambda: own.score(FACES, value())
    yield "logits node", lambda: own.logits(value(), FACES)
    yield "logits X", lambda: own.logits("router", value())
    yield "read faces", lambda: own.read(FACES, value())
    yield "read min_confidence", lambda: own.read(FACES, min_confidence=value())
    yield "predict_video source", lambda: next(own.predict_video(value()))
    yield "predict_video faces", lambda: next(own.predict_video(CLIP, value()))
    yield "load run", lambda: load(value())
    yield "load engine", lambda: load(engine=value())
    yield "load backend", lambda: load(backend=value())
    yield "save", lambda: own.save(value()) if not isinstance(value(), str) or value() != "x" else None
    yield "fit X", lambda: new(recipe="nowhere").fit(value(), NAMES)
    yield "fit y", lambda: new(recipe="nowhere").fit(FACES, value())
    yield "fit validation", lambda: new(recipe="sketch").fit(FACES[:1], NAMES[:1], value())
    for name in own.get_params():
        yield f"fit with {name}", lambda name=name: new(**{name: value()}).fit(FACES[:1], NAMES[:1])
        for X in (FACES, FACES / 255, [FACES[0]], "http://127.0.0.1:9/"):
            yield f"use with {name}", lambda name=name, X=X: _changed(name, value()).predict(X)
        yield f"repr with {name}", lambda name=name: repr(_changed(name, value()))


def _changed(name: str, value: object) -> HierarchicalClassifier:
    own, _ = _opened()
    changed = HierarchicalClassifier()
    vars(changed).update(vars(own))
    return changed.set_params(**{name: value})


def given(value: Callable[[], object], folder: Path) -> str | None:
    """A value as each argument: an answer or an InputError of one line, and the next answer is as before."""
    with TURN, contextlib.chdir(folder):
        classifier, answer = _opened()
        for name, call in _calls(value):
            try:
                call()
            except InputError as error:
                if "\n" in str(error) or len(str(error)) > 5000:
                    return f"{name}: a long message, {str(error)[:80]!r}"
            except OwnError:
                pass
            except Exception as error:
                return f"{name}: {type(error).__name__}: {error}"[:200]
        return None if np.array_equal(classifier.predict_proba(FACES), answer) else "another answer"


def cases() -> Iterator[Case]:
    """A case for each value."""
    for name, value in VALUES.items():
        yield Case("arguments of the Python class", name, partial(given, value))
