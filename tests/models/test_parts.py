"""Nets that look at fixed windows of the face, in both frameworks and exported."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy import runtimes
from hierarchy.config.recipes import named
from hierarchy.config.schema import PartsConfig
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.models import build, export
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.training import train

WINDOWS = ((4, 6, 40, 20), (10, 20, 30, 46))
NET = PartsConfig(((4,), (6,)), blur=0.4, dense=(5,), part_stages=((3,), (4, 4)), windows=WINDOWS)


@pytest.mark.parametrize("windows", ["whole", "parts", "both"])
def test_a_net_sees_its_windows_only(windows, rng):
    net = build.build(VALENCE, FLAT, replace(NET, input=windows))
    inside = np.zeros((48, 48), bool)
    for left, top, right, bottom in WINDOWS if windows == "parts" else [(2, 2, 46, 46)]:
        inside[top - 1 : bottom + 1, left - 1 : right + 1] = True  # the blur takes one pixel more
    face, other = rng.integers(0, 256, (2, 48, 48), dtype=np.uint8)
    faces = np.stack([face, np.where(inside, face, other), np.where(inside, other, face)])
    first, same, changed = np.asarray(net(faces))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - changed).max() > 1e-3


def test_each_window_has_a_body_beside_that_of_the_whole_face():
    sizes = {
        part: build.macs(build.build(VALENCE, FLAT, replace(NET, input=part))) for part in ("whole", "parts")
    }
    head = {
        part: len(VALENCE.leaves) * 5 * bodies for part, bodies in (("whole", 1), ("parts", len(WINDOWS)))
    }
    assert build.macs(build.build(VALENCE, FLAT, NET)) == sum(sizes.values())
    assert all(sizes[part] > head[part] for part in sizes)


@pytest.mark.long
def test_a_drawn_face_is_learned_exported_and_mirrored(few_sketches, monkeypatch):
    pytest.importorskip("tf2onnx")
    from hierarchy.data import loading

    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))
    settings = ("net.stages=[[4],[8]]", "net.part_stages=[[4],[8]]", "fit.epochs=1", "net.blur=0.4")
    run = train.run(
        data="sketch",
        recipe="parts",
        settings=settings,
        node=FLAT,
        name="parts",
        seed=None,
        resume=False,
        deterministic=True,
        backend=KERAS_BACKEND,
    )
    assert run.manifest().recipe["net"]["windows"] == [list(each) for each in named("parts").net.windows]
    faces = sketch_faces(20).pixels
    expected = KERAS_BACKEND.open(run.net(FLAT))(faces)
    list(export.export(run, "onnx", "float32", lambda: few_sketches))
    np.testing.assert_allclose(runtimes.nets(run, KERAS_BACKEND, "onnx")[1][FLAT](faces), expected, atol=1e-4)
    pytest.importorskip("torch")
    from pt_files.torch_backend import TORCH_BACKEND

    np.testing.assert_allclose(TORCH_BACKEND.open(run.net(FLAT))(faces), expected, atol=1e-4)
