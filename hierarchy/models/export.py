"""From a run's nets to small artefacts that need no Keras: ONNX, LiteRT or OpenVINO.

The conversions are Keras' own `model.export` and each library's quantisation. float16 halves the file and
computes in float32; int8 quantises weights by channel and activations by what CALIBRATION faces of Training
show. An artefact is asked about drawn faces before it is kept.
"""

import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs, runtimes
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.models import keras_setup
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.runtimes import EXPORT_REQUIREMENTS, FORMATS

CALIBRATION: Final = 512  # Training faces, drawn once
CLOSE: Final = {"float32": 1e-3, "float16": 0.05, "int8": 1.0}  # of logits, between an artefact and Keras
TOOLS: Final = {"onnx": ("tf2onnx", "onnx"), "litert": (), "openvino": ("openvino",)}


def export(run: runs.Run, kind: str, precision: str, faces: Callable[[], FaceDataset]) -> Iterator[str]:
    """Write a run's artefacts beside its nets and name them on its card.

    Args:
        run: trained in Keras.
        kind: one of FORMATS.
        precision: one of PRECISIONS that the format has.
        faces: gives faces with a Training split; asked for int8 alone.

    Yields:
        A line for each artefact.

    Raises:
        InputError: an unknown format or precision, a missing tool, another backend than TensorFlow, nets of
            another framework, no faces to calibrate on, or an artefact that answers otherwise than its net.
    """
    engine = _engine(kind, precision)
    nodes = runtimes.exported_nodes(run.card())
    paths = {node: run.net(node) for node in nodes}
    for path in paths.values():
        KERAS_BACKEND.open(path)  # refuses another framework's files
    check_tools(kind)
    from hierarchy.models import serialization

    shown = _calibration(faces()) if precision == "int8" else None
    asked = sketch_faces(runtimes.CHUNK).pixels
    entry: dict[str, Any] = {}
    kept: dict[str, bytes] = {}
    for node, path in paths.items():
        with tempfile.TemporaryDirectory() as folder:
            suffix = FORMATS[kind].suffixes[0]
            target = Path(folder) / f"{node}{'' if engine == kind else f'-{precision}'}{suffix}"
            net = serialization.load(path)
            logits = np.asarray(net(asked))  # Keras exports what has been called
            _convert(net, target, kind, precision, shown)
            gap = float(np.abs(runtimes.ExportedModel(engine, target, KERAS_BACKEND)(asked) - logits).max())
            if not gap <= CLOSE[precision]:  # nor is what is not a number close
                raise InputError(
                    f"{path}: as {engine} it gives other logits (by {gap:.2g}); nothing was kept"
                )
            files = {file.name: file.read_bytes() for file in _files(target, kind)}
        kept |= files
        size = sum(map(len, files.values()))
        checksums = {name: fileio.sha256(data) for name, data in files.items()}
        entry[node] = {"files": checksums, "bytes": size, "net": fileio.sha256(path.read_bytes())}
        yield f"{run.folder / target.name}: {size / 1e6:.1f} MB, logits within {gap:.2g} of Keras'"
    for name, data in kept.items():
        fileio.write_atomic(run.folder / name, data)
    run.amend({"exports": {**run.card().get("exports", {}), engine: entry}})


def _engine(kind: str, precision: str) -> str:
    if kind not in FORMATS:
        raise InputError(f"format {kind!r}: allowed are {', '.join(FORMATS)}")
    if precision not in FORMATS[kind].precisions:
        allowed = ", ".join(FORMATS[kind].precisions)
        raise InputError(f"precision {precision!r}: allowed for {kind} are {allowed}")
    return next(name for name, setting in runtimes.ENGINES.items() if setting == (kind, precision))


def check_tools(kind: str) -> None:
    """Refuse to begin what cannot be converted to a format.

    Raises:
        InputError: a missing tool, or another backend than TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND={keras.backend.backend()}: export converts by TensorFlow; allowed is tensorflow"
        )
    for name in (*TOOLS[kind], FORMATS[kind].library.split(".")[0]):
        if importlib.util.find_spec(name) is None:
            raise InputError(f"{name} is not installed: pip install -r {EXPORT_REQUIREMENTS}")


def _calibration(faces: FaceDataset) -> np.ndarray:
    train = faces.of(Split.Training).pixels
    if not len(train):
        raise InputError(
            "int8 is calibrated on faces of Training, and these data have none; allowed is --data"
        )
    return train[np.random.default_rng(0).permutation(len(train))[:CALIBRATION]]


def _files(target: Path, kind: str) -> list[Path]:
    return [target.with_suffix(suffix) for suffix in FORMATS[kind].suffixes]


def _convert(net: Any, target: Path, kind: str, precision: str, shown: np.ndarray | None) -> None:
    with warnings.catch_warnings(), keras_setup.quiet():
        warnings.simplefilter("ignore")  # the converters' own
        _WAYS[kind](net, target, precision, shown)


def _to_onnx(net: Any, target: Path, precision: str, shown: np.ndarray | None) -> None:
    net.export(target, format="onnx", verbose=False)
    if precision == "float16":
        _halve(target)
    if shown is not None:
        _quantise(target, shown)


def _halve(path: Path) -> None:
    """Store an ONNX net's kernels in half precision; they are widened once, when the net is opened."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    for weights in [each for each in graph.initializer if each.data_type == TensorProto.FLOAT and each.dims]:
        half = numpy_helper.to_array(weights).astype(np.float16)
        graph.node.insert(
            0, helper.make_node("Cast", [f"{weights.name}_half"], [weights.name], to=TensorProto.FLOAT)
        )
        weights.CopyFrom(numpy_helper.from_array(half, f"{weights.name}_half"))
    onnx.save(model, path)


def _quantise(path: Path, shown: np.ndarray) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(np.split(shown, range(runtimes.CHUNK, len(shown), runtimes.CHUNK)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"pixels": batch}

    quantization.shape_inference.quant_pre_process(path, path)
    # eight-bit sums of two products fit the sixteen bits of AVX2 if weights leave one bit free
    quantization.quantize_static(
        path,
        path,
        Reader(),
        per_channel=True,
        reduce_range=True,
        activation_type=quantization.QuantType.QUInt8,
    )


def _to_litert(net: Any, target: Path, precision: str, shown: np.ndarray | None) -> None:
    import tensorflow as tf

    how: dict[str, Any] = {} if precision == "float32" else {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if precision == "float16":
        how["target_spec"] = {"supported_types": [tf.float16]}
    if shown is not None:
        how["representative_dataset"] = lambda: ([face[None]] for face in shown)
    net.export(target, format="litert", verbose=False, **how)


def _to_openvino(net: Any, target: Path, precision: str, shown: np.ndarray | None) -> None:
    import openvino

    net.export(str(target), format="openvino", verbose=False)
    if precision == "float16":
        halved = openvino.Core().read_model(target)
        openvino.save_model(halved, target.with_name("half.xml"), compress_to_fp16=True)
        for suffix in FORMATS["openvino"].suffixes:
            target.with_name("half.xml").with_suffix(suffix).replace(target.with_suffix(suffix))


_WAYS: Final = {"onnx": _to_onnx, "litert": _to_litert, "openvino": _to_openvino}
