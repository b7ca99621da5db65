"""The nets of a run as one model: calibration, soft routing and the label are part of it.

LiteRT and OpenVINO files are converted from one Keras model; an ONNX file is merged from the exported nets,
so that it has their logits to the bit, at int8 too. A lone flat net is a tree of one net here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy import runs, runtimes
from hierarchy.data.images import SIDE
from hierarchy.manifest import UNCALIBRATED, Calibration, RunManifest
from hierarchy.models.export_formats import BRANCHES, INPUT, LABEL, LOGITS, OUTPUTS, PROBABILITIES
from hierarchy.taxonomy import FLAT, ROUTER, TRUNK, Tree
from hierarchy.vision.align import LANDMARKS


def metadata(manifest: RunManifest, node: str) -> dict[str, str]:
    """What the file of an exported net says of it, values that are not words as JSON.

    Args:
        manifest: of its run.
        node: of the net, TRUNK for one of all nodes, or `runtimes.TREE` for the whole tree.
    """
    tree = manifest.tree
    whole = node == runtimes.TREE
    nets = runtimes.exported_nodes(manifest) if node in (runtimes.TREE, TRUNK) else (node,)
    return {
        "node": node,
        "classes": json.dumps(tree.leaves if whole else tree.classes_of(node)),
        "branches": json.dumps(tree.branches),
        "tree": json.dumps(dict(tree.children)),
        "calibration": json.dumps({net: vars(calibration_of(manifest, net)) for net in nets}),
        "run": manifest.run,
        "licence": "MIT",
        "version": runs.versions("tensorflow").get(runs.LIBRARIES[0], ""),
        "crop": crop(),
    }


def crop() -> str:
    """How the faces are cropped."""
    places = ", ".join(f"({x:g}, {y:g})" for x, y in LANDMARKS)
    return (
        f"uint8[N, {SIDE}, {SIDE}], grey, 0 black to 255 white; one face each, rotated, scaled and shifted "
        "so that left eye, right eye, nose, left and right corner of the mouth (left in the image) lie about "
        f"at (x, y) = {places} pixels from the upper left corner"
    )


def calibration_of(manifest: RunManifest, node: str) -> Calibration:
    """Calibration of a net, with an offset for each of its classes."""
    about = manifest.calibration.get(node, UNCALIBRATED)
    offset = np.broadcast_to(about.offset, len(manifest.tree.classes_of(node)))
    return Calibration(tuple(offset.tolist()), about.temperature)


def named(net: Any) -> Any:
    """A Keras net with names of its input and output, called once, since Keras exports no others."""
    import keras

    faces = keras.Input((SIDE, SIDE), dtype="uint8", name=INPUT)
    return _called(keras.Model(faces, {LOGITS: net(faces)}))


def joined(nets: Mapping[str, Any], manifest: RunManifest) -> Any:
    """The Keras model of a tree from its Keras nets: faces uint8[N,48,48] -> OUTPUTS by name."""
    import keras
    from keras import ops

    tree, faces = manifest.tree, keras.Input((SIDE, SIDE), dtype="uint8", name=INPUT)

    unique = {id(net): net for net in nets.values()}
    outputs = {key: net(faces) for key, net in unique.items()}

    def probability(node: str) -> Any:
        about, logits = calibration_of(manifest, node), outputs[id(nets[node])]
        if manifest.nets[node].shared:
            logits = logits[:, manifest.columns(node)]
        return ops.softmax((logits + np.array(about.offset, np.float32)) / about.temperature)

    if FLAT in nets:
        leaves = probability(FLAT)
        branches = ops.matmul(leaves, _owners(tree))
    else:
        branches = probability(ROUTER)
        shares = [branches[:, column : column + 1] for column in range(len(tree.branches))]
        named_shares = zip(tree.branches, shares, strict=True)
        leaves = ops.concatenate([p * probability(b) if b in nets else p for b, p in named_shares], axis=1)
    label = ops.top_k(leaves, 1)[1][:, 0]  # Keras' argmax has an operator that OpenVINO lacks
    return _called(keras.Model(faces, dict(zip(OUTPUTS, (leaves, branches, label), strict=True))))


def _called(model: Any) -> Any:
    model(np.zeros((1, SIDE, SIDE), np.uint8))
    return model


def _owners(tree: Tree) -> np.ndarray:
    """float32[leaves, branches], 1 where the leaf is the branch's."""
    return np.eye(len(tree.branches), dtype=np.float32)[list(tree.branch_of_leaf)]


@dataclass
class _Graph:
    """Nodes and constants of an ONNX graph in the making."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, inputs: Sequence[str | np.ndarray], output: str, **attributes: Any) -> str:
        """Add a node of one output, whose name is returned; arrays among its inputs become constants."""
        from onnx import helper, numpy_helper

        names = []
        for place, value in enumerate(inputs):
            if isinstance(value, np.ndarray):
                self.constants.append(numpy_helper.from_array(value, f"{output}/constant{place}"))
            names.append(value if isinstance(value, str) else f"{output}/constant{place}")
        self.nodes.append(helper.make_node(operator, names, [output], output, **attributes))
        return output

    def probability(self, node: str, manifest: RunManifest, output: str) -> str:
        """Add the nodes from a net's logits to its calibrated probabilities, whose name is returned."""
        about = calibration_of(manifest, node)
        offset, temperature = (np.array(value, np.float32) for value in (about.offset, about.temperature))
        shifted = self.add("Add", [f"{node}/{LOGITS}", offset], f"{node}/shifted")
        scaled = self.add("Div", [shifted, temperature], f"{node}/scaled")
        return self.add("Softmax", [scaled], output, axis=1)


def merge(nets: Mapping[str, Path], manifest: RunManifest, target: Path) -> None:
    """Write the ONNX model of a tree, faces uint8[N,48,48] -> OUTPUTS, from its exported ONNX nets."""
    import onnx
    from onnx import TensorProto, helper

    tree, graph, models = manifest.tree, _Graph(), []
    shared = {path: TRUNK for node, path in nets.items() if manifest.nets[node].shared}
    for path, name in ({path: node for node, path in nets.items()} | shared).items():
        # an edge is named after its node; the input, which is everybody's, is not
        models.append(onnx.compose.add_prefix(onnx.load(path), f"{name}/", rename_inputs=False))
        graph.nodes += models[-1].graph.node
        graph.constants += models[-1].graph.initializer
    for node in nets:
        if manifest.nets[node].shared:
            columns = manifest.columns(node)
            start, stop = np.array([columns.start]), np.array([columns.stop])
            graph.add("Slice", [f"{TRUNK}/{LOGITS}", start, stop, np.array([1])], f"{node}/{LOGITS}")
    _route(graph, nets, manifest)
    value = helper.make_tensor_value_info
    faces = value(INPUT, TensorProto.UINT8, ["N", SIDE, SIDE])
    outputs = [
        value(PROBABILITIES, TensorProto.FLOAT, ["N", len(tree.leaves)]),
        value(BRANCHES, TensorProto.FLOAT, ["N", len(tree.branches)]),
        value(LABEL, TensorProto.INT64, ["N"]),
    ]
    whole = helper.make_graph(graph.nodes, "tree", [faces], outputs, graph.constants)
    operators = {each.domain: each for each in chain.from_iterable(model.opset_import for model in models)}
    version = max(model.ir_version for model in models)
    model = helper.make_model(whole, opset_imports=list(operators.values()), ir_version=version)
    onnx.save(model, target)


def _route(graph: _Graph, nets: Mapping[str, Path], manifest: RunManifest) -> None:
    """Add the nodes from the nets' logits to OUTPUTS."""
    tree = manifest.tree
    if FLAT in nets:
        graph.probability(FLAT, manifest, PROBABILITIES)
        graph.add("MatMul", [PROBABILITIES, _owners(tree)], BRANCHES)
    else:
        graph.probability(ROUTER, manifest, BRANCHES)
        leaves = []
        for column, branch in enumerate(tree.branches):
            share = graph.add("Gather", [BRANCHES, np.array([column])], f"{branch}/share", axis=1)
            if branch in nets:
                conditional = graph.probability(branch, manifest, f"{branch}/conditional")
                share = graph.add("Mul", [share, conditional], f"{branch}/leaves")
            leaves.append(share)
        graph.add("Concat", leaves, PROBABILITIES, axis=1)
    graph.add("ArgMax", [PROBABILITIES], LABEL, axis=1, keepdims=0)
