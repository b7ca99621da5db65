"""Exported nets without Keras: ONNX Runtime, LiteRT or OpenVINO behind uint8[N,48,48] -> logits.

`export` writes one small file per net into the run's folder; the manifest records its checksum and that of
the net it was made from. The shipped engine was chosen by measurement: results/benchmarks.md.
"""

import functools
import importlib
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.backends import Backend, quiet
from hierarchy.errors import BASE, COMMAND, STDERR, InputError, NetError, check_choice, first_line, install
from hierarchy.manifest import RunManifest
from hierarchy.routing import Logits
from hierarchy.taxonomy import FLAT, TRUNK

# disable the libraries' telemetry; OpenVINO then uses a stub
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

AUTO: Final = "auto"  # the first of LOSSLESS that a run was exported to, else the backend
PRECISIONS: Final = ("float32", "float16", "int8")  # of the stored weights; float16 computes in float32
TREE: Final = "tree"  # among the exports: the whole tree as one file, which is for other programs
CHUNK: Final = 64  # faces per call, which bounds memory
MEMORY: Final = 4 << 30  # bytes that the nets of ONNX Runtime take at most: a file may ask for any number
SECONDS: Final = 60  # of a call of one: a file may loop for ever


@dataclass(frozen=True)
class Format:
    """A file format of exported nets and the library that runs it."""

    library: str  # its import name
    title: str  # its name in messages
    extra: str  # that installs it
    suffixes: tuple[str, ...]  # of the files of a net; the first one is opened
    open: Callable[[Any, Path], Logits]  # library, file -> uint8[N,48,48] -> float32[N,K], N <= CHUNK
    precisions: tuple[str, ...] = PRECISIONS  # of the stored weights


def cores() -> int:
    """CPU cores available to this process, at most OMP_NUM_THREADS if that is set."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        available = os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(available, int(limit)) if re.fullmatch("0*[1-9][0-9]{0,5}", limit) else available


@functools.cache
def _shared_memory(library: Any) -> None:
    """Use one memory arena of at most MEMORY for all sessions, since the nets run one after another."""
    kinds = library.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, library.OrtMemType.DEFAULT
    bound = library.OrtArenaCfg({"max_mem": MEMORY})
    library.create_and_register_allocator(library.OrtMemoryInfo("Cpu", *kinds), bound)


class _TimeLimit:
    """Ends calls of nets after SECONDS: one thread for all of a process, asleep until one is late."""

    def __init__(self) -> None:
        self.calls: dict[Any, float] = {}  # options of running calls, and when they are late
        self.wakes = math.inf  # when the thread looks again
        self.earlier = threading.Event()  # it has to look before
        threading.Thread(target=self._watch, name="time limit of nets", daemon=True).start()

    @contextmanager
    def of(self, run: Any) -> Iterator[None]:
        """Inside, a call with these RunOptions is watched."""
        late = self.calls[run] = time.monotonic() + SECONDS
        if late < self.wakes:  # hardly ever: the calls before it are late before it
            self.earlier.set()
        try:
            yield
        finally:
            del self.calls[run]

    def _watch(self) -> None:
        while True:
            self.earlier.clear()
            self.wakes = math.inf  # a call that begins from here on wakes the thread
            calls, now = dict(self.calls), time.monotonic()
            for run in [run for run, late in calls.items() if late <= now]:
                run.terminate = True
            later = [late for late in calls.values() if late > now]
            self.wakes = min(later, default=math.inf)
            self.earlier.wait(self.wakes - now if later else None)


@functools.cache
def _time_limit(process: int) -> _TimeLimit:
    """That of a process; a fork has its own, since the thread stays behind."""
    return _TimeLimit()


def outputs_of(
    library: Any, file: Path | bytes, names: Sequence[str] | None = None
) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    """The outputs of an ONNX net with one input, by default all of them, within MEMORY and SECONDS."""
    _shared_memory(library)
    options = library.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions
    options.intra_op_num_threads = cores()  # the default ignores CPU affinity
    # the nets share the cores: threads spinning after one net would slow down the next
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    session = library.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def outputs(values: np.ndarray) -> Sequence[np.ndarray]:
        run = library.RunOptions()
        with _time_limit(os.getpid()).of(run):
            return tuple(session.run(names, {name: values}, run))

    return outputs


def _onnx(library: Any, path: Path) -> Logits:
    net = outputs_of(library, path)
    return lambda pixels: np.asarray(net(pixels)[0])


def _litert(library: Any, path: Path) -> Logits:
    net = library.Interpreter(str(path), num_threads=cores())
    net.allocate_tensors()  # here it prints on stderr
    source, target = net.get_input_details()[0]["index"], net.get_output_details()[0]["index"]

    def logits(pixels: np.ndarray) -> np.ndarray:
        net.resize_tensor_input(source, pixels.shape)  # does nothing if the shape is unchanged
        net.allocate_tensors()
        net.set_tensor(source, pixels)
        net.invoke()
        return np.asarray(net.get_tensor(target))

    return logits


def _openvino(library: Any, path: Path) -> Logits:
    # the default precision is bfloat16 where the processor has it, which changes labels
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    net = library.Core().compile_model(path, "CPU", config)
    return lambda pixels: net(pixels)[0].copy()


FORMATS: Final = {
    "onnx": Format("onnxruntime", "ONNX Runtime", BASE, (".onnx",), _onnx),
    "litert": Format("ai_edge_litert.interpreter", "LiteRT", "export", (".tflite",), _litert),
    "openvino": Format("openvino", "OpenVINO", "export", (".xml", ".bin"), _openvino, PRECISIONS[:2]),
}
ENGINES: Final = {
    name if precision == PRECISIONS[0] else f"{name}-{precision}": (name, precision)
    for name, about in FORMATS.items()
    for precision in about.precisions
}
# engines with the labels of the run's own nets; ONNX, always installed, first
LOSSLESS: Final = tuple(engine for engine, (_, precision) in ENGINES.items() if precision in PRECISIONS[:2])


class ExportedModel:
    """An exported net as a function uint8[N,48,48] -> logits float32[N,K]; opened at the first call.

    A fork opens it again, since the threads of the library stay behind; that of its parent is kept, since
    closing it would wait for them.

    Args:
        engine: one of ENGINES.
        path: of the net's first file.
        backend: named in errors as the alternative.
    """

    def __init__(self, engine: str, path: Path, backend: Backend) -> None:
        self.format = FORMATS[ENGINES[engine][0]]
        self.path = path
        self.remedy = f"or use --engine {own_name(backend)}"
        self.opened: dict[int, Logits] = {}  # by process

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of faces, float32[N,K].

        Raises:
            InputError: the library is not installed, or cannot open the file.
        """
        net = self.opened.get(os.getpid()) or self.open()
        pixels = np.ascontiguousarray(pixels)
        if not len(pixels):  # some of the libraries fail on empty input
            return net(np.zeros((1, *pixels.shape[1:]), pixels.dtype))[:0]
        chunks = [pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK)]
        return np.concatenate([net(chunk) for chunk in chunks])

    def open(self) -> Logits:
        """The net, opened once in a process.

        Raises:
            InputError: as a call.
        """
        with STDERR:  # which `quiet` holds while it opens
            net = self.opened[os.getpid()] = self.opened.get(os.getpid()) or self._open()
        return net

    def _open(self) -> Logits:
        most = fileio.TEXT_BYTES if self.path.suffix == ".xml" else fileio.ARCHIVE_BYTES
        if self.path.is_file() and self.path.stat().st_size > most:
            raise InputError(f"{self.path}: larger than {most >> 20:,} MiB; {self.remedy}")
        try:
            with quiet():
                library = importlib.import_module(self.format.library)
                return self.format.open(library, self.path)
        except ImportError as error:
            remedy = f"{install(self.format.extra)}, {self.remedy}"
            raise InputError(
                f"{self.format.title} cannot be imported ({first_line(error)}): {remedy}"
            ) from None
        except Exception as error:  # each library has its own exceptions
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.path}: {self.format.title} cannot open it ({reason}); {self.remedy}"
            ) from None


def nets(run: runs.Run, backend: Backend, engine: str) -> tuple[str, Mapping[str, Logits]]:
    """Name of the engine that runs a run's nets, and the nets by node.

    Args:
        run: trained.
        backend: opens the run's own nets.
        engine: AUTO, the backend's name, or one of ENGINES.

    Raises:
        InputError: an unknown engine, one that the run was not exported to as a whole, an exported net that
            is damaged or was made from another net.
    """
    manifest, own = run.manifest(), own_name(backend)
    check_choice("engine", engine, (AUTO, own, *ENGINES))
    needed = set(exported_nodes(manifest))  # the run may have been exported before its tree was complete
    whole = {name for name, exports in manifest.exports.items() if needed <= exports.keys()}
    if engine == AUTO:
        preferred = (name for name in LOSSLESS if name in whole and backend.exported)
        engine = next(preferred, own)
    if engine == own:
        return own, own_nets(run, backend)
    if engine not in whole:
        raise InputError(f"run {run.name!r} was not exported to {engine}; run {command(run, engine)}")
    models, remedy = dict[str, Logits](), f"run {command(run, engine)} again, or use --engine {own}"
    for node, exported in manifest.exports[engine].items():
        if node == TREE:
            continue
        if exported.net != manifest.checksums.get(node):
            raise InputError(f"run {run.name!r}: its {engine} {node} net was made from another net; {remedy}")
        for name, checksum in exported.files.items():
            fileio.check_file(run.folder / name, checksum, remedy)
        models[node] = ExportedModel(engine, run.folder / next(iter(exported.files)), backend)
    return engine, _heads(run, models)


def own_nets(run: runs.Run, backend: Backend) -> dict[str, Logits]:
    """A run's own nets, by node.

    Raises:
        InputError: a net is damaged, or of another backend.
    """
    return _heads(run, {node: backend.open(run.net(node)) for node in run.manifest().nets})


@dataclass(frozen=True)
class Fitting:
    """A net of a file that must give a number of logits for each face.

    Attributes:
        net: of any library.
        name: of its engine and file, in errors.
        width: logits for a face.
    """

    net: Logits
    name: str
    width: int

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of faces, float[N,width].

        Raises:
            NetError: the net cannot be opened, does not take faces, or gives anything else.
        """
        try:
            logits = self.net(pixels)
        except MemoryError:
            raise
        except InputError as error:
            raise NetError(str(error)) from None
        except Exception as error:  # each library has its own exceptions
            reason = " ".join(str(error).split())[:200]
            raise NetError(f"{self.name}: does not take faces ({reason})") from error
        logits = np.asarray(logits)
        kind, shape = logits.dtype, logits.shape
        if shape != (len(pixels), self.width) or kind.kind != "f":
            raise NetError(
                f"{self.name}: gives {kind}{list(shape)}, expected float[{len(pixels)}, {self.width}]"
            )
        return logits


@dataclass(frozen=True)
class Head:
    """The outputs of a shared net that belong to one node, as a net."""

    net: Logits
    columns: slice

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of the node, float32[N, its classes]."""
        return self.net(pixels)[:, self.columns]


def _heads(run: runs.Run, nets: Mapping[str, Logits]) -> dict[str, Logits]:
    """The nets by node, those that are stored in one file as heads of one net."""
    manifest, files, heads = run.manifest(), dict[str, Logits](), dict[str, Logits]()
    for node, net in nets.items():
        about = manifest.nets[node]
        width = len(manifest.tree.classes_of(TRUNK if about.shared else node))
        path = net.path if isinstance(net, ExportedModel) else run.folder / about.file
        heads[node] = fitting = Fitting(net, str(path), width)
        if about.shared:
            heads[node] = Head(files.setdefault(about.file, fitting), manifest.columns(node))
    return heads


def outputs(nets: Mapping[str, Logits], pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Logits by node of faces uint8[N,48,48]; a net that several nodes share runs once."""
    shared: dict[int, np.ndarray] = {}
    logits = {}
    for node, net in nets.items():
        if not isinstance(net, Head):
            logits[node] = net(pixels)
            continue
        if (key := id(net.net)) not in shared:
            shared[key] = net.net(pixels)
        logits[node] = shared[key][:, net.columns]
    return logits


def open_ahead(nets: Mapping[str, Logits]) -> None:
    """Open exported nets in a thread while pictures are read; what fails is raised by the first call."""

    def opened() -> None:
        for net in nets.values():
            files = net.net if isinstance(net, Head) else net
            if isinstance(files, Fitting) and isinstance(files.net, ExportedModel):
                with suppress(InputError):
                    files.net.open()

    threading.Thread(target=opened, name="nets").start()


def own_name(backend: Backend) -> str:
    """The engine name of a backend."""
    return backend.name.lower()


def exported_nodes(manifest: RunManifest) -> tuple[str, ...]:
    """The nets that predict, and so are exported: the tree's, or the flat net of a run without a tree."""
    return manifest.tree.nodes if manifest.complete else (FLAT,)


def command(run: runs.Run, engine: str) -> str:
    """The command that exports a run to an engine."""
    name, precision = ENGINES[engine]
    return f"{COMMAND} export --run {run.name} --format {name} --precision {precision}"
