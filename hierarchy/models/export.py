"""Export a run's nets to ONNX, LiteRT or OpenVINO, which need no Keras.

Conversion is by Keras' `model.export` and each library's quantisation. float16 halves the file and computes
in float32; int8 quantises weights per channel and activations by the ranges seen on CALIBRATION Training
faces. Every exported net is compared with its original before it is stored.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs, runtimes
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError, require
from hierarchy.models import keras_setup
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.runtimes import FORMATS

CALIBRATION: Final = 512  # Training faces
CLOSE: Final = {"float32": 1e-3, "float16": 0.05, "int8": 1.0}  # largest difference of logits from Keras
TOOLS: Final = {"onnx": ("tf2onnx", "onnx"), "litert": (), "openvino": ("openvino",)}


def export(run: runs.Run, kind: str, precision: str, faces: Callable[[], FaceDataset]) -> Iterator[str]:
    """Write a run's exported nets beside its own and list them in its manifest.

    Args:
        run: trained in Keras.
        kind: one of FORMATS.
        precision: one of the format's PRECISIONS.
        faces: loads faces with a Training split; called for int8 only.

    Yields:
        A line for each exported net.

    Raises:
        InputError: an unknown format or precision, a missing tool, another backend than TensorFlow, PyTorch
            nets, no Training faces for int8, or logits that differ from the original's.
    """
    engine = _engine(kind, precision)
    paths = {node: run.net(node) for node in runtimes.exported_nodes(run.manifest())}
    for path in paths.values():
        KERAS_BACKEND.open(path)  # refuses PyTorch nets
    check_tools(kind)
    calibration = _calibration(faces()) if precision == "int8" else None
    entry: dict[str, Any] = {}
    written: dict[str, bytes] = {}
    for node, path in paths.items():
        files, gap = _converted(path, engine, calibration)
        written |= files
        size = sum(map(len, files.values()))
        checksums = {name: fileio.sha256(data) for name, data in files.items()}
        entry[node] = {"files": checksums, "bytes": size, "net": fileio.sha256(path.read_bytes())}
        yield f"{run.folder / next(iter(files))}: {size / 1e6:.1f} MB, logits within {gap:.2g} of Keras"
    for name, data in written.items():
        fileio.write_atomic(run.folder / name, data)
    before = fileio.read_json(run.folder / runs.MANIFEST).get("exports", {})
    run.amend({"exports": {**before, engine: entry}})


def _engine(kind: str, precision: str) -> str:
    if kind not in FORMATS:
        raise InputError(f"format {kind!r}: expected one of {', '.join(FORMATS)}")
    if precision not in FORMATS[kind].precisions:
        known = ", ".join(FORMATS[kind].precisions)
        raise InputError(f"precision {precision!r}: expected for {kind} one of {known}")
    return next(name for name, setting in runtimes.ENGINES.items() if setting == (kind, precision))


def check_tools(kind: str) -> None:
    """Check that nets can be converted to a format.

    Raises:
        InputError: a missing tool, or another backend than TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(f"KERAS_BACKEND={keras.backend.backend()}: export needs tensorflow")
    require(*TOOLS[kind], FORMATS[kind].library.split(".")[0])


def _calibration(faces: FaceDataset) -> np.ndarray:
    train = faces.of(Split.Training).pixels
    if not len(train):
        raise InputError("int8 needs Training images for calibration; pass --data PATH")
    return train[np.random.default_rng(0).permutation(len(train))[:CALIBRATION]]


def _converted(path: Path, engine: str, calibration: np.ndarray | None) -> tuple[dict[str, bytes], float]:
    """The files of an exported net, and the largest difference of its logits."""
    from hierarchy.models import serialization

    kind, precision = runtimes.ENGINES[engine]
    net, probe = serialization.load(path), sketch_faces(runtimes.CHUNK).pixels
    logits = np.asarray(net(probe))  # Keras exports only nets that were called
    suffixes, name = FORMATS[kind].suffixes, path.stem + engine.removeprefix(kind)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{name}{suffixes[0]}"
        with warnings.catch_warnings(), keras_setup.quiet():
            warnings.simplefilter("ignore")  # of the converters
            CONVERTERS[kind](net, target, precision, calibration)
        exported = runtimes.ExportedModel(engine, target, KERAS_BACKEND)
        gap = float(np.abs(exported(probe) - logits).max())
        if not gap <= CLOSE[precision]:  # NaN too
            raise InputError(f"{path}: {engine} logits differ by {gap:.2g}; nothing was written")
        return {f"{name}{suffix}": target.with_suffix(suffix).read_bytes() for suffix in suffixes}, gap


def _to_onnx(net: Any, target: Path, precision: str, calibration: np.ndarray | None) -> None:
    net.export(target, format="onnx", verbose=False)
    if precision == "float16":
        _halve(target)
    if calibration is not None:
        _quantise(target, calibration)


def _halve(path: Path) -> None:
    """Store an ONNX net's weights in float16; they are cast to float32 when the net is opened."""
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


def _quantise(path: Path, calibration: np.ndarray) -> None:
    from onnxruntime import quantization

    ends = range(runtimes.CHUNK, len(calibration), runtimes.CHUNK)
    batches = iter([{"pixels": batch} for batch in np.split(calibration, ends)])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    quantization.shape_inference.quant_pre_process(path, path)
    # reduce_range: AVX2 adds pairs of 8-bit products in 16 bits, which 7-bit weights cannot overflow
    quantization.quantize_static(
        path,
        path,
        Reader(),
        per_channel=True,
        reduce_range=True,
        activation_type=quantization.QuantType.QUInt8,
    )


def _to_litert(net: Any, target: Path, precision: str, calibration: np.ndarray | None) -> None:
    import tensorflow as tf

    options: dict[str, Any] = {} if precision == "float32" else {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if precision == "float16":
        options["target_spec"] = {"supported_types": [tf.float16]}
    if calibration is not None:
        options["representative_dataset"] = lambda: ([face[None]] for face in calibration)
    net.export(target, format="litert", verbose=False, **options)


def _to_openvino(net: Any, target: Path, precision: str, calibration: np.ndarray | None) -> None:
    import openvino

    whole = target if precision == "float32" else target.with_name("float32.xml")
    net.export(str(whole), format="openvino", verbose=False)
    if precision == "float16":
        openvino.save_model(openvino.Core().read_model(whole), target, compress_to_fp16=True)


CONVERTERS: Final = {"onnx": _to_onnx, "litert": _to_litert, "openvino": _to_openvino}
