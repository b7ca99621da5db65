"""Export a run's nets to ONNX, LiteRT or OpenVINO, which need no Keras.

Conversion is by Keras' `model.export` and each library's quantisation. float16 halves the file and computes
in float32; int8 quantises weights per channel and activations by the ranges seen on CALIBRATION Training
faces. Every exported net is compared with its original before it is stored. One more file holds the whole
tree, from faces to labels, and is compared with the exported nets.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, routing, runs, runtimes
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError, require
from hierarchy.models import export_tree, keras_setup
from hierarchy.models.export_formats import CONVERTERS, DESCRIBERS, OUTPUTS, RUNNERS
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.runtimes import FORMATS

CALIBRATION: Final = 512  # Training faces
CLOSE: Final = {"float32": 1e-3, "float16": 0.05, "int8": 1.0}  # largest difference of logits from Keras
CLOSE_TREE: Final = {"float32": 1e-4, "float16": 0.01, "int8": 1e-4}  # of probabilities from the nets'
NO_TREE: Final = (("litert", "int8"),)  # its probabilities would be multiples of 1/256
TOOLS: Final = {"onnx": ("tf2onnx", "onnx"), "litert": (), "openvino": ("openvino",)}


def export(run: runs.Run, kind: str, precision: str, faces: Callable[[], FaceDataset]) -> Iterator[str]:
    """Write a run's exported nets beside its own and list them in its manifest.

    Args:
        run: trained in Keras.
        kind: one of FORMATS.
        precision: one of the format's PRECISIONS.
        faces: loads faces with a Training split; called for int8 only.

    Yields:
        A line for each exported net, and one for the tree.

    Raises:
        InputError: an unknown format or precision, a missing tool, another backend than TensorFlow, PyTorch
            nets, no Training faces for int8, logits that differ from the original's, or probabilities of the
            tree from those of its nets.
    """
    engine = _engine(kind, precision)
    paths = {node: run.net(node) for node in runtimes.exported_nodes(run.manifest())}
    for path in paths.values():
        KERAS_BACKEND.open(path)  # refuses PyTorch nets
    check_tools(kind)
    calibration = _calibration(faces()) if precision == "int8" else None
    with tempfile.TemporaryDirectory() as folder:
        exporter = _Exporter(run, engine, Path(folder), calibration)
        for path in dict.fromkeys(paths.values()):
            yield exporter.net([node for node in paths if paths[node] == path], path)
        if (kind, precision) not in NO_TREE:
            yield exporter.tree()
        run.manifest()  # not where it was removed meanwhile
        for file in sorted(exporter.files):
            fileio.write_atomic(run.folder / file, (Path(folder) / file).read_bytes())
    run.add_export(engine, exporter.entry)


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


class _Exporter:
    """Writes the exported files of a run into a folder, and what its manifest says of them into `entry`."""

    def __init__(self, run: runs.Run, engine: str, folder: Path, calibration: np.ndarray | None) -> None:
        self.run, self.manifest, self.engine, self.folder = run, run.manifest(), engine, folder
        self.kind, self.precision = runtimes.ENGINES[engine]
        self.calibration = calibration
        self.probe = sketch_faces(runtimes.CHUNK).pixels
        self.nets: dict[str, Any] = {}  # of Keras
        self.logits: dict[str, np.ndarray] = {}  # of the exported nets for the probe
        self.entry: dict[str, Any] = {}
        self.files: list[str] = []

    def net(self, nodes: Sequence[str], path: Path) -> str:
        """Export the net of a node, or of several that share it; the line about it."""
        from hierarchy.models import serialization

        net = serialization.load(path)
        target = self._target(path.stem + self.engine.removeprefix(self.kind))
        with _quiet():
            CONVERTERS[self.kind](export_tree.named(net), target, self.precision, self.calibration)
            DESCRIBERS[self.kind](target, export_tree.metadata(self.manifest, net.name))
        exported = runtimes.ExportedModel(self.engine, target, KERAS_BACKEND)(self.probe)
        gap = _gap(exported, np.asarray(net(self.probe)))
        if not gap <= CLOSE[self.precision]:  # NaN too
            raise InputError(f"{path}: {self.engine} logits differ by {gap:.2g}; nothing was written")
        for node in nodes:
            self.nets[node] = net
            self.logits[node] = exported[:, self.manifest.columns(node)]
            line = self._add(node, target, self.manifest.checksums[node])
        return f"{line}, logits within {gap:.2g} of Keras"

    def tree(self) -> str:
        """Export the nets as one model; the line about it."""
        target = self._target(f"{runtimes.TREE}-{self.precision}")
        with _quiet():
            self._whole(target)
            DESCRIBERS[self.kind](target, export_tree.metadata(self.manifest, runtimes.TREE))
            outputs = RUNNERS[self.kind](target, self.probe)
        tree, calibration = self.manifest.tree, self.manifest.calibration
        predictions, _ = routing.predict_from_logits(tree, self.logits, calibration)
        expected = zip(OUTPUTS, (predictions.joint, predictions.branch), strict=False)
        gap = float(np.max([_gap(outputs[name], values) for name, values in expected]))
        if not gap <= CLOSE_TREE[self.precision]:
            raise InputError(f"{target.name}: probabilities differ by {gap:.2g}; nothing was written")
        source = [self.manifest.checksums[node] for node in self.nets], self.manifest.calibration
        checksum = fileio.sha256(repr(source).encode())  # changes with the nets and with their calibration
        return f"{self._add(runtimes.TREE, target, checksum)}, probabilities within {gap:.2g} of the nets'"

    def _whole(self, target: Path) -> None:
        if self.kind == "onnx":
            files = {node: self.folder / next(iter(about["files"])) for node, about in self.entry.items()}
            export_tree.merge(files, self.manifest, target)
        else:
            net = export_tree.joined(self.nets, self.manifest)
            CONVERTERS[self.kind](net, target, self.precision, None)

    def _target(self, name: str) -> Path:
        return self.folder / f"{name}{FORMATS[self.kind].suffixes[0]}"

    def _add(self, node: str, target: Path, source: str) -> str:
        """List the files of a net or tree made from `source`, a checksum; their path and size."""
        paths = [target.with_suffix(suffix) for suffix in FORMATS[self.kind].suffixes]
        size = sum(path.stat().st_size for path in paths)
        checksums = {path.name: fileio.sha256(path.read_bytes()) for path in paths}
        self.entry[node] = {"files": checksums, "bytes": size, "net": source}
        self.files += checksums
        return f"{self.run.folder / target.name}: {size / 1e6:.1f} MB"


def _gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the messages of the converters."""
    with warnings.catch_warnings(), keras_setup.quiet():
        warnings.simplefilter("ignore")
        yield
