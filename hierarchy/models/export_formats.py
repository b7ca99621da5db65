"""Convert a Keras model to ONNX, LiteRT or OpenVINO, and put metadata into its file.

A converter takes a model of faces uint8[N,48,48], the file to write, the precision of the weights, and for
int8 the faces uint8[M,48,48] to calibrate on. Metadata are in ONNX `metadata_props`; in LiteRT labels.txt and
metadata.json in a zip archive at the end of the file, as TensorFlow Lite's metadata format packs files; in
OpenVINO the section `model_info` of rt_info, as in its Model API.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import runtimes

INPUT, LOGITS = "faces", "logits"
PROBABILITIES, BRANCHES, LABEL = "probabilities", "branch_probabilities", "label"
OUTPUTS: Final = (PROBABILITIES, BRANCHES, LABEL)  # of the tree
LABELS, METADATA, MODEL_INFO = "labels.txt", "metadata.json", "model_info"


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
    batches = iter([{INPUT: batch} for batch in np.split(calibration, ends)])

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


def _describe_onnx(path: Path, about: Mapping[str, str]) -> None:
    import onnx

    model = onnx.load(path)
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _describe_litert(path: Path, about: Mapping[str, str]) -> None:
    classes = "".join(f"{name}\n" for name in json.loads(about["classes"]))
    with zipfile.ZipFile(path, "a") as archive:  # its reader begins at the end, a flatbuffer's at the start
        for name, text in ((LABELS, classes), (METADATA, json.dumps(about, indent=2))):
            archive.writestr(zipfile.ZipInfo(name), text)  # without a time, so that files are reproducible


def _describe_openvino(path: Path, about: Mapping[str, str]) -> None:
    import openvino

    described = path.with_name("described.xml")  # the weights of an open model must not be overwritten
    model = openvino.Core().read_model(path)
    for output in model.outputs:
        output.set_names(output.names & {LOGITS, *OUTPUTS})  # an output may be named after its operator, too
    for key, value in about.items():
        model.set_rt_info(value, [MODEL_INFO, key])
    openvino.save_model(model, described, compress_to_fp16=False)  # weights in float16 stay as they are
    del model
    for suffix in runtimes.FORMATS["openvino"].suffixes:
        described.with_suffix(suffix).replace(path.with_suffix(suffix))


CONVERTERS: Final = {"onnx": _to_onnx, "litert": _to_litert, "openvino": _to_openvino}
DESCRIBERS: Final = {"onnx": _describe_onnx, "litert": _describe_litert, "openvino": _describe_openvino}


def _run_onnx(path: Path, faces: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {INPUT: faces}), strict=True))


def _run_litert(path: Path, faces: np.ndarray) -> dict[str, np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    outputs: dict[str, np.ndarray] = Interpreter(str(path)).get_signature_runner()(**{INPUT: faces})
    return outputs


def _run_openvino(path: Path, faces: np.ndarray) -> dict[str, np.ndarray]:
    import openvino

    net = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {output.any_name: value for output, value in net(faces).items()}


RUNNERS: Final = {"onnx": _run_onnx, "litert": _run_litert, "openvino": _run_openvino}  # outputs by name
