"""The same pixels give the same answer by every door, and predictions of faces print and convert well."""

import base64
import copy
import doctest
import io
import json
import pickle
import re
import sys
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pytest
from PIL import Image

import hierarchy
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import fetch
from hierarchy.data.dataset import SIDE
from hierarchy.errors import InputError
from hierarchy.inference.faces import FacePredictions, unsure
from hierarchy.inference.predictor import FacePrediction, columns
from hierarchy.taxonomy import VALENCE
from hierarchy.vision.detectors import DETECTORS, WHOLE

ROOT = Path(hierarchy.__file__).parents[1]
PORTRAIT = ROOT / "samples" / "portrait.jpg"
ADDRESS = "https://example.org/a.png"
WALL = np.zeros((200, 300), np.uint8)
METHODS = ("predict", "predict_proba", "predictions", "outputs", "lazy")


@pytest.fixture
def model(monkeypatch) -> HierarchicalClassifier:
    """The default run; read only."""
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    return HierarchicalClassifier.load(fetch=True)


@pytest.fixture
def crop(few_sketches, tmp_path) -> Path:
    """A face of SIDE x SIDE as a file."""
    path = tmp_path / "crop.png"
    Image.fromarray(few_sketches.pixels[3]).save(path)
    return path


def files(path: Path, file: BinaryIO):
    """Every way to hand over a file, by name; `file` is open."""
    data = path.read_bytes()
    text = base64.b64encode(data).decode()
    return {
        "text": str(path),
        "path": path,
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "open file": file,
        "bytes file": io.BytesIO(data),
        "image": Image.open(io.BytesIO(data)),
        "base64": text,
        "data": f"data:image/x;base64,{text}",
        "address": ADDRESS,
        "list": [path],
        "tuple": (data,),
        "iterator": iter([Image.open(io.BytesIO(data))]),
        "generator": (each for each in [path]),
    }


def arrays(path: Path):
    """Every array of the pixels of a file: by name, the array and the parameters it needs."""
    rgb = np.asarray(Image.open(path).convert("RGB"))
    grey = np.asarray(Image.open(path).convert("L"))
    opaque = np.dstack([rgb, np.full(grey.shape, 255, np.uint8)])
    return {
        "grey": (grey, {}),
        "one channel": (grey[..., None], {}),
        "batch": (grey[None], {}),
        "batch of one channel": (grey[None, ..., None], {}),
        "rgb": (rgb, {}),
        "opaque": (opaque, {}),
        "batch of rgb": (rgb[None], {}),
        "bgr": (np.ascontiguousarray(rgb[..., ::-1]), {"colour": "bgr"}),
        "floats": (rgb / 255, {}),
        "half floats": ((rgb / 255).astype(np.float16), {}),
        "floats to 255": (grey.astype(np.float32), {"value_range": (0, 255)}),
        "integers": (grey.astype(np.int32), {}),
        "list": ([rgb], {}),
    }


@pytest.mark.parametrize("kind", ["crop", pytest.param("portrait", marks=pytest.mark.slow)])
def test_the_same_pixels_give_the_same_answer_by_every_door(model, crop, kind, monkeypatch):
    path = crop if kind == "crop" else PORTRAIT
    monkeypatch.setattr(fetch, "fetch", lambda address: path.read_bytes())
    (expected,) = model.read(path)
    with path.open("rb") as file:
        doors = {name: (source, {}) for name, source in files(path, file).items()} | arrays(path)
        for name, (source, params) in doors.items():
            model.set_params(**{"colour": "rgb", "value_range": (0, 1)} | params)
            if name not in ("iterator", "generator"):  # which can be read once
                (face,) = model.read(source)
                assert face.face == expected.face and face.probabilities == expected.probabilities, name
            (row,) = model.predict_proba(source)
            assert dict(zip(model.classes_, row, strict=True)) == expected.probabilities, name


def test_ready_crops_are_the_pictures_of_their_size(model, few_sketches):
    crops = few_sketches.pixels[:9]
    expected = model.predict_proba(crops)
    for source in (list(crops), crops / 255, crops[..., None], [Image.fromarray(each) for each in crops]):
        np.testing.assert_allclose(model.predict_proba(source), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(crops[4]), expected[4:5], atol=1e-6)


def test_ready_crops_are_not_searched(model, few_sketches, monkeypatch):
    for module in ("hierarchy.inference.faces", "hierarchy.data.inputs"):
        monkeypatch.setitem(sys.modules, module, None)
    assert model.predict(few_sketches.pixels[:2]).shape == model.predict(few_sketches)[:2].shape


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_pictures(model, crop, method):
    once = getattr(model, method)(iter([crop, PORTRAIT, np.asarray(Image.open(crop))]))
    several = {"predictions": lambda: once.joint, "outputs": lambda: once["router"], "lazy": lambda: once[0]}
    assert len(several.get(method, lambda: once)()) == 3


def test_the_largest_face_is_a_row(model):
    portrait = cv2.imread(str(PORTRAIT), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    page = np.zeros((portrait.shape[0], portrait.shape[1] + small.shape[1]), np.uint8)
    page[: small.shape[0], : small.shape[1]] = small
    page[:, small.shape[1] :] = portrait
    faces = model.read(page)
    assert len(faces) == 2 and faces[0].face[2] > faces[1].face[2]
    (row,) = model.predict_proba(page)
    assert dict(zip(model.classes_, row, strict=True)) == faces[0].probabilities


def test_a_picture_without_a_face_is_refused_with_its_row_or_taken_whole(model, crop):
    with pytest.raises(InputError, match=f"^row 1: .*{WHOLE}"):
        model.predict([crop, WALL])
    with pytest.raises(InputError, match=WHOLE):
        model.predict(WALL)
    (face,) = model.read(WALL)
    assert face.face is None and face.path == "image"
    model.set_params(detector=WHOLE)
    assert model.predict([WALL, PORTRAIT]).shape == (2,)
    assert model.read(WALL)[0].face == [0, 0, *WALL.shape[::-1]]


def test_rows_of_pixels_are_not_a_picture(model, few_sketches):
    with pytest.raises(InputError, match="flat_rows"):
        model.predict(few_sketches.pixels[:2].reshape(2, -1))
    model.set_params(flat_rows=True)
    rows = few_sketches.pixels[:2].reshape(2, -1)
    np.testing.assert_array_equal(model.predict(rows), model.predict(rows / 255))


@pytest.mark.parametrize("wrong", [{}, 3, None, [], [WALL, {}], b"", "missing.png", WALL > 0, WALL - 0.5])
def test_what_is_no_picture_is_refused_by_every_method(model, wrong):
    for name in (*METHODS, "read"):
        with pytest.raises(InputError):
            getattr(model, name)(wrong)


@pytest.mark.parametrize(
    "params", [{"detector": "eyes"}, {"colour": "grb"}, {"value_range": (0, 2)}, {"value_range": None}]
)
def test_unknown_parameters_are_refused_at_use(model, params):
    model.set_params(**params)
    (name,) = params
    for use in (model.predict, model.read):
        with pytest.raises(InputError, match=name):
            use(PORTRAIT)


def test_addresses_are_read_where_that_is_asked_for(model, monkeypatch):
    monkeypatch.setattr(fetch, "fetch", lambda address: PORTRAIT.read_bytes())
    assert model.read([ADDRESS])[0].path == ADDRESS
    model.set_params(fetch=False)
    with pytest.raises(InputError, match=f"{ADDRESS}.*fetch"):
        model.predict([PORTRAIT, ADDRESS])


def test_all_faces_of_several_pictures_are_read(model, crop):
    faces = model.read(iter([crop, WALL, PORTRAIT.read_bytes()]))
    assert [face.path for face in faces] == [str(crop), "row 1", "row 2"]
    assert [face.face is None for face in faces] == [False, True, False]
    with pytest.raises(InputError, match="^row 1: "):
        model.read([crop, b"nothing"])


@pytest.mark.parametrize("least", [0, 0.6, 1])
def test_a_face_made_unsure_is_as_read_with_that_confidence(model, crop, least):
    for face, expected in zip(model.read([crop]), model.read([crop], min_confidence=least), strict=True):
        hidden = unsure(face, model.tree_, least)
        assert (hidden.branch, hidden.label) == (expected.branch, expected.label)
        assert hidden.confidence == pytest.approx(expected.confidence)


def test_the_detector_can_be_named_for_one_reading(model):
    model.set_params(detector=WHOLE)
    assert model.read(PORTRAIT)[0].score is None
    assert all(model.read(PORTRAIT, faces=name) for name in DETECTORS if name in ("auto", "yunet"))


SHARES = dict(zip(VALENCE.leaves, np.eye(len(VALENCE.leaves))[0].tolist(), strict=True))
FACE = FacePrediction("a.png", [1, 2, 3, 4], 0.9, VALENCE.branches[0], VALENCE.leaves[0], 1.0, SHARES)
NOBODY = FacePrediction("b.png", None, None, None, None, None, {})
FACES = FacePredictions([FACE, NOBODY], VALENCE)


def test_predictions_print_as_one_line_a_face():
    assert str(FACE) == FACE.as_text() and FACE.as_text() in repr(FACE)
    assert str(FACES).splitlines() == [FACE.as_text(), NOBODY.as_text()]
    assert len(repr(FACES).splitlines()) == len(FACES)
    assert repr(FacePredictions([], VALENCE)) == "[]"


def test_a_prediction_is_a_dict_that_json_holds():
    crop = np.zeros((SIDE, SIDE), np.uint8)
    face = FacePrediction(*FACE.to_dict().values(), crop=crop)
    assert face.to_dict() == FACE.to_dict() == json.loads(FACE.as_json())
    assert FacePrediction(**FACE.to_dict()) == FACE


def test_predictions_are_a_list_with_a_frame():
    assert isinstance(FACES, list) and FACES == [FACE, NOBODY]
    for faces in (FACES, FACES[:2], copy.copy(FACES), pickle.loads(pickle.dumps(FACES))):  # noqa: S301
        frame = faces.to_frame()
        assert tuple(frame.columns) == columns(VALENCE) and len(frame) == 2
    assert list(frame["label"].isna()) == [False, True]
    assert FACES[0] is FACE and FACES[:0].to_frame().shape == (0, len(columns(VALENCE)))


def test_a_frame_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        FACES.to_frame()


def test_the_documentation_answers_as_printed(monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    snippet = "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.S))
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(snippet, {}, "python.md", None, 0))
    assert runner.tries and not runner.failures
