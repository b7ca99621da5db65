"""The exported nets without Keras: ONNX Runtime, LiteRT or OpenVINO behind uint8[N,48,48] -> logits.

`export` leaves one small artefact a net beside the run's own files and names it, with its checksum and that
of the net it was made from, on the run's card. Which engine is shipped was chosen by measurement:
results/benchmarks.md.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.backends import Backend
from hierarchy.errors import InputError, first_line
from hierarchy.routing import Logits
from hierarchy.taxonomy import FLAT, NODES

# these libraries would tell their makers, over the network, that and on what machine they are used
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # OpenVINO has a mute one instead

AUTO: Final = "auto"  # the first of EXACT that a run was exported to, else the run's own framework
PRECISIONS: Final = ("float32", "float16", "int8")  # of the stored weights; float16 computes in float32
CHUNK: Final = 64  # faces a call, so that memory does not grow with their number


@dataclass(frozen=True)
class Format:
    """A format of artefacts and the library that runs it.

    Attributes:
        library: as it is imported.
        title: as people call it.
        requirements: the file that installs it.
        suffixes: of an artefact's files, the one that is opened first.
        open: its way from the file to a function uint8[N,48,48] -> logits float32[N,K], N at most CHUNK.
        precisions: what the weights can be stored as.
    """

    library: str
    title: str
    requirements: str
    suffixes: tuple[str, ...]
    open: Callable[[Any, Path], Logits]
    precisions: tuple[str, ...] = PRECISIONS


def cores() -> int:
    """How many cores this process may use, at most OMP_NUM_THREADS where that is set."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # neither macOS nor Windows tells
        cores = os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


@functools.cache
def _shared_memory(library: Any) -> None:
    """One arena for all sessions: nets that take turns need the memory of one."""
    kinds = library.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, library.OrtMemType.DEFAULT
    library.create_and_register_allocator(library.OrtMemoryInfo("Cpu", *kinds), None)


def _onnx(library: Any, path: Path) -> Logits:
    _shared_memory(library)
    options = library.SessionOptions()
    options.log_severity_level = 4  # what goes wrong comes as an exception
    options.intra_op_num_threads = cores()  # by itself it takes all there are, and leaves a process's own
    # three nets take turns on the same cores: threads that spin after their turn would slow the next one
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    session = library.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels})[0]


def _litert(library: Any, path: Path) -> Logits:
    net = library.Interpreter(str(path), num_threads=cores())
    given, told = net.get_input_details()[0]["index"], net.get_output_details()[0]["index"]

    def logits(pixels: np.ndarray) -> np.ndarray:
        net.resize_tensor_input(given, pixels.shape)  # nothing happens where the shape is the last one's
        net.allocate_tensors()
        net.set_tensor(given, pixels)
        net.invoke()
        found: np.ndarray = net.get_tensor(told)
        return found

    return logits


def _openvino(library: Any, path: Path) -> Logits:
    # by itself it computes in bfloat16 where the processor can, and gives other labels there
    asked = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    net = library.Core().compile_model(path, "CPU", asked)
    return lambda pixels: net(pixels)[0].copy()


EXPORT_REQUIREMENTS: Final = "requirements-export.txt"
FORMATS: Final = {
    "onnx": Format("onnxruntime", "ONNX Runtime", "requirements.txt", (".onnx",), _onnx),
    "litert": Format("ai_edge_litert.interpreter", "LiteRT", EXPORT_REQUIREMENTS, (".tflite",), _litert),
    "openvino": Format(
        "openvino", "OpenVINO", EXPORT_REQUIREMENTS, (".xml", ".bin"), _openvino, PRECISIONS[:2]
    ),
}
ENGINES: Final = {
    name if precision == PRECISIONS[0] else f"{name}-{precision}": (name, precision)
    for precision in PRECISIONS
    for name, about in FORMATS.items()
    if precision in about.precisions
}
LOSSLESS: Final = tuple(  # they give the labels of the run's own nets; what is installed anyway comes first
    engine
    for name in FORMATS
    for engine, (kind, precision) in ENGINES.items()
    if kind == name and precision in PRECISIONS[:2]
)


class ExportedModel:
    """An exported net as a function uint8[N,48,48] -> logits float32[N,K]; opened at the first call."""

    def __init__(self, engine: str, path: Path, framework: Backend) -> None:
        self.format = FORMATS[ENGINES[engine][0]]
        self.path = path
        self.instead = _without(framework)
        self.net: Logits | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of faces, float32[N,K].

        Raises:
            InputError: the engine's library is not installed, or does not take the file.
        """
        if self.net is None:
            self.net = self._opened()
        pixels = np.ascontiguousarray(pixels)
        if not len(pixels):  # some of the libraries fall over nothing
            return self.net(np.zeros((1, *pixels.shape[1:]), pixels.dtype))[:0]
        chunks = [pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK)]
        return np.concatenate([self.net(chunk) for chunk in chunks])

    def _opened(self) -> Logits:
        try:
            library = importlib.import_module(self.format.library)
        except ModuleNotFoundError as error:
            raise InputError(
                f"{error.name} is not installed: pip install -r {self.format.requirements}; {self.instead}"
            ) from None
        except ImportError as error:
            raise InputError(
                f"{self.format.title} is installed but does not start ({first_line(error)}); {self.instead}"
            ) from None
        try:
            return self.format.open(library, self.path)
        except Exception as error:  # each library has errors of its own
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.path}: {self.format.title} cannot open it ({reason}); {self.instead}"
            ) from None


def nets(run: runs.Run, framework: Backend, engine: str) -> tuple[str, Mapping[str, Logits]]:
    """Which engine answers for a run, and its nets by node.

    Args:
        run: trained.
        framework: what opens the run's own nets.
        engine: AUTO, the framework's name, or one of ENGINES.

    Raises:
        InputError: an unknown engine, a run that was not exported to it, an artefact that is damaged or was
            made from other nets than the run's.
    """
    card, own = run.card(), own_name(framework)
    exports: Mapping[str, Any] = card.get("exports", {})
    if engine == AUTO:
        fast = (name for name in LOSSLESS if name in exports and framework.exported)
        engine = next(fast, own)
    if engine == own:
        return own, {node: framework.open(run.net(node)) for node in card["nets"]}
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}: allowed are {', '.join((AUTO, own, *ENGINES))}")
    if engine not in exports:
        raise InputError(f"run {run.name!r} was not exported to {engine}: {command(run, engine)} does it")
    return engine, {
        node: ExportedModel(engine, _checked(run, card, engine, node, framework), framework)
        for node in exports[engine]
    }


def own_name(framework: Backend) -> str:
    """What a framework is called among the engines."""
    return framework.name.lower()


def _without(framework: Backend) -> str:
    return f"engine {own_name(framework)} answers without it"


def exported_nodes(card: Mapping[str, Any]) -> tuple[str, ...]:
    """The nets that answer, and so are exported: the tree's, or a lone flat net."""
    return NODES if set(NODES) <= card["nets"].keys() else (FLAT,)


def command(run: runs.Run, engine: str) -> str:
    """What exports a run to an engine."""
    name, precision = ENGINES[engine]
    return f"python tf_model.py export --run {run.name} --format {name} --precision {precision}"


def _checked(run: runs.Run, card: Mapping[str, Any], engine: str, node: str, framework: Backend) -> Path:
    """File of a node's artefact, its bytes and its origin compared with the run's card."""
    about = card["exports"][engine][node]
    instead = f"{command(run, engine)} makes it anew, {_without(framework)}"
    if about["net"] != card["nets"].get(node, {}).get("sha256"):
        raise InputError(f"run {run.name!r}: its {engine} {node} net was made from another net; {instead}")
    paths = [run.folder / name for name in about["files"]]
    for path, checksum in zip(paths, about["files"].values(), strict=True):
        fileio.check_file(path, checksum, instead)
    return paths[0]
