"""HierarchicalClassifier: the nets of a tree and their routing, with the conventions of scikit-learn.

A net is a callable uint8[N,48,48] -> logits; where it comes from (Keras, an exported engine, a test's lambda)
does not matter here. Keras is imported when the first net needs it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hierarchy import routing, runs, runtimes
from hierarchy.backends import Backend
from hierarchy.data.dataset import SIDE, UNLABELLED, FaceDataset, as_pixels, from_rows
from hierarchy.errors import COMMAND, InputError, check_choice
from hierarchy.manifest import UNCALIBRATED, Conformal
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.models.preprocessing import VIEWS, averaged
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FLAT, ROUTER, Tree, tree_named
from hierarchy.vision.detectors import AUTO, MOVING, STILL, WHOLE, Detector, Searching, create_detector

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from hierarchy.data.inputs import Options
    from hierarchy.inference.faces import FacePredictions
    from hierarchy.vision.tracker import TrackedFace
    from hierarchy.vision.video import Frame

ROUTINGS = ("soft", "hard", "lazy")


@dataclass(eq=False)
class HierarchicalClassifier:
    """Predicts the apparent expression of 48x48 grey faces: branch first, then leaf.

    Wherever `X` are faces to predict, uint8[N,48,48] are the crops themselves. Of other pictures (a path,
    bytes, an open file, a Pillow image, an array, base64 text, an address, or a list or iterator of these),
    the largest face of each becomes a row. One that cannot be used is an InputError, which names its row.

    Args:
        recipe: name or file of a recipe, for `fit`.
        settings: changes to it, e.g. ("fit.epochs=20",).
        routing: how `predict` chooses: soft, hard or lazy (labels of soft with early exit).
        view: test-time augmentation: single, flip, crops or ten-crop.
        seed: of everything random in `fit`.
        tree: a Tree, the name of one, or a .toml file; None: the recipe's, or the loaded run's.
        flat_rows: whether faces may also be rows of 48 * 48 numbers, [N, 2304], as scikit-learn's tables are.
        detector: of faces in pictures, see `vision.detectors.create_detector`; "whole" takes them whole.
        min_face: faces of so many pixels or more are searched for in pictures and videos.
        rotate: auto or off: whether turned faces are searched for where no others are found.
        value_range: of arrays of floats: (0, 1) or (0, 255).
        colour: order of the channels of arrays: rgb or bgr.
        fetch: whether pictures may be http(s) addresses.
        coverage: above 0, below 1: faces get a set of leaves too, which holds the true one with this
            probability, see `routing.prediction_sets`; None: no sets. With the single view only.

    Attributes:
        tree_: of the fitted or loaded run.
        classes_: names of the leaves, sorted as scikit-learn expects them: the columns of `predict_proba`.
            Everything else keeps the order of `tree_.leaves`.
        run_: the fitted or loaded run.
        engine_: name of what runs the nets.
    """

    recipe: str = "short"
    settings: Sequence[str] = ()
    routing: str = "soft"
    view: str = "single"
    seed: int = 0
    tree: Tree | str | None = None
    flat_rows: bool = False
    detector: str = AUTO
    min_face: int = STILL.min_face
    rotate: str = STILL.rotate
    value_range: tuple[float, float] = (0, 1)
    colour: str = "rgb"
    fetch: bool = False
    coverage: float | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments.

        Raises:
            InputError: there is no such argument.
        """
        known = self.get_params()
        if unknown := [name for name in params if name not in known]:
            raise InputError(f"unknown parameter {unknown[0]!r}: expected one of {', '.join(known)}")
        vars(self).update(params)
        return self

    def __repr__(self) -> str:
        values = [(each.name, repr(getattr(self, each.name)), repr(each.default)) for each in fields(self)]
        changed = [f"{name}={value}" for name, value, default in values if value != default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> "Tags":
        from hierarchy import estimator

        return estimator.tags(self.flat_rows)

    def __sklearn_is_fitted__(self) -> bool:
        return "run_" in vars(self)

    def __getstate__(self) -> dict[str, Any]:
        """The parameters; of a loaded model, run, tree and engine; of a fitted one, the files of its run."""
        if not self.__sklearn_is_fitted__():
            return {"params": self.get_params()}
        from hierarchy import estimator

        opened = (estimator.packed(self.run_), self.backend_, self.engine_, self.tree_)
        return {"params": self.get_params(), "opened": opened}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Raises InputError if the run is not in results/ or has another tree now."""
        vars(self).update(state["params"])
        if "opened" in state:
            from hierarchy import estimator

            run, *opened = state["opened"]
            self._opened(estimator.unpacked(run, self), *opened)

    def fit(self, X: Any, y: Any = None, validation: Any = None, verbose: bool = True) -> Self:
        """Train all nets on `X`; each net's best epoch is chosen on `validation`.

        Args:
            X: FaceDataset with labels, or an array of faces.
            y: class names, str[N]; for `fit(FaceDataset, FaceDataset)`, the validation set.
            validation: (Xv, yv) or FaceDataset; X's own PublicTest rows are then unused. Without it these
                are used, or a stratified, seeded part of `X`.
            verbose: whether a progress bar and a line for every epoch are printed on stderr.

        Raises:
            InputError: before anything is trained: PrivateTest rows, missing or unknown names, wrong shapes,
                an unknown recipe, setting or tree, a backend that is not installed.
        """
        self._check(fitted=False)
        from hierarchy import estimator

        tree = self._expected_tree()
        return self._opened(estimator.trained(self, tree, self._crops, X, y, validation, verbose))

    @classmethod
    def load(
        cls,
        run: str = runs.DEFAULT_RUN,
        backend: Backend = KERAS_BACKEND,
        engine: str = runtimes.AUTO,
        **params: Any,
    ) -> Self:
        """The classifier of a run in results/, with nets as in `runtimes.nets`.

        The parameters are the constructor's; a `tree` must be the run's.

        Raises:
            InputError: no such run, another tree, damaged weights, an engine it was not exported to.
        """
        if not isinstance(backend, Backend):
            raise InputError(f"backend {backend!r:.80}: expected one, such as KERAS_BACKEND")
        return cls(**params)._opened(runs.run(run), backend, engine)

    def save(self, run: str) -> None:
        """Store the fitted nets as a run in results/.

        Raises:
            InputError: a run of that name exists.
        """
        self._check()
        runs.copy(self.run_, runs.run(run))

    def predict(self, X: Any) -> np.ndarray:
        """Names of the leaves, str[N], for faces uint8[N,48,48]."""
        X = self._faces(X)
        rule = routing.hard if self.routing == "hard" else routing.soft
        chosen = self.lazy(X)[0] if self.routing == "lazy" else rule(self.predictions(X))
        return np.array(self.tree_.leaves)[chosen]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of `classes_`, float64[N, leaves], rows sum to one, for faces uint8[N,48,48]."""
        return self.predictions(self._faces(X)).joint[:, np.argsort(self.tree_.leaves)]

    def predict_set(self, X: Any) -> np.ndarray:
        """Which of `classes_` are in the prediction set of `coverage`: bool[N, leaves], for faces as above.

        Raises:
            InputError: there is no `coverage`, or as `routing.thresholds`.
        """
        if (sets := self.predictions(self._faces(X)).sets) is None:
            raise InputError("predict_set needs a coverage, as in HierarchicalClassifier.load(coverage=0.9)")
        return sets[:, np.argsort(self.tree_.leaves)]

    def score(self, X: Any, y: Any = None) -> float:
        """Accuracy of `predict` on faces with names `y`, or the dataset's own labels.

        Raises:
            InputError: a face without a name, an unknown name, wrong shapes.
        """
        from hierarchy.data.labelling import labelled

        self._check()
        faces = labelled(self.tree_, self._faces(X), y)
        named = int((faces.label != UNLABELLED).sum())
        if not 0 < len(faces) == named:
            raise InputError(f"score: {len(faces)} faces, {named} names; expected a name for every face")
        names = np.array([*self.tree_.leaves, ""])  # the last: of faces that the tree has no leaf for
        return float(np.mean(self.predict(faces) == names[faces.target(self.tree_, FLAT)]))

    def predictions(self, X: Any) -> Predictions:
        """Branch and leaf probabilities of faces uint8[N,48,48]; without a tree, the flat net's sums."""
        X = self._faces(X)
        nodes = self.tree_.nodes if self.tree_.complete(self.nets_) else (FLAT,)
        logits = self._outputs(nodes, X)
        predictions = routing.predict_from_logits(self.tree_, logits, self.calibration_)[0]
        if self.coverage is None:
            return predictions
        sets = routing.prediction_sets(self.tree_, logits, self._conformal(), self.coverage)
        return replace(predictions, sets=sets)

    def outputs(self, X: Any) -> dict[str, np.ndarray]:
        """Logits of every net before calibration, float32[N, its classes], for faces uint8[N,48,48]."""
        X = self._faces(X)
        return self._outputs(tuple(self.nets_), X)

    def lazy(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """The soft labels with early exit: index of the leaf, and nets run per face, both int64[N]."""
        X = self._faces(X)
        if not self.tree_.complete(self.nets_) or isinstance(self.nets_[ROUTER], runtimes.Head):
            chosen = routing.soft(self.predictions(X))
            return chosen, np.ones_like(chosen)
        pixels = as_pixels(X)
        branch = routing.softmax(self.logits(ROUTER, pixels))
        specialists = {
            node: lambda rows, node=node: routing.softmax(self.logits(node, pixels[rows]))
            for node in self.tree_.branches
        }
        return routing.lazy(self.tree_, branch, specialists)

    def read(self, source: Any, faces: str | None = None, min_confidence: float = 0.0) -> "FacePredictions":
        """Predictions of all faces of pictures, the largest first; one without a face for a picture of none.

        Args:
            source: a path, bytes, an open file, a Pillow image, an array, base64 text, an address, or a list
                or iterator of these; or the path of a data file.
            faces: name of the face detector, see `vision.detectors.create_detector`; None: `detector`.
            min_confidence: below this probability of the label, only the branch is reported.

        Raises:
            InputError: a picture or the detector cannot be read.
        """
        from hierarchy.inference.faces import read

        self._check()
        find = self._detector(faces)
        return read(self, source, self._options(), find, min_confidence)

    def predict_video(
        self, source: str | Path, faces: str = AUTO
    ) -> Iterator[tuple["Frame", list["TrackedFace"]]]:
        """Every frame of a video with its faces, tracked and smoothed over time.

        Args:
            source: path of a video, number of a camera, or URL of a stream.
            faces: name of the face detector, see `vision.detectors.create_detector`.

        Raises:
            InputError: the source or the detector cannot be read.
        """
        from hierarchy.vision.tracker import Tracker, track
        from hierarchy.vision.video import Video

        self._check()
        tracker = Tracker(self._detector(faces, MOVING.step), self.predictions)
        if not isinstance(source, str | int | np.integer | os.PathLike):
            raise InputError(f"source {source!r:.80}: expected a path, a camera's number, or a URL")
        with Video(str(source)) as video:
            for frame, tracked, _ in track(video, tracker, together=video.ahead):
                yield frame, tracked

    def logits(self, node: str, X: Any) -> np.ndarray:
        """Calibrated logits of one node, float64[N, its classes], for faces uint8[N,48,48].

        Without the whole tree they are computed from the flat net's.

        Raises:
            InputError: the run has no such net.
        """
        X = self._faces(X)
        check_choice("node", node, (*self.tree_.nodes, FLAT))
        if node != FLAT and not self.tree_.complete(self.nets_):
            return routing.node_logits_from_flat(self.tree_, self.logits(FLAT, X), node)
        calibration = self.calibration_.get(node, UNCALIBRATED)
        return routing.calibrated(
            self._outputs((node,), X)[node], np.array(calibration.offset), calibration.temperature
        )

    def _faces(self, X: Any) -> Any:
        self._check()
        return self._crops(X)

    def _crops(self, X: Any) -> Any:
        X = from_rows(X) if self.flat_rows else X
        crops = isinstance(X, np.ndarray) and X.shape[1:] == (SIDE, SIDE)
        if isinstance(X, FaceDataset) or (crops and X.dtype == np.uint8):
            return X
        from hierarchy.inference.faces import largest

        return largest(X, self._options(), self._detector(WHOLE if crops else None))

    def _detector(self, name: str | None, step: int = STILL.step) -> Detector:
        return create_detector(
            self.detector if name is None else name, Searching(self.min_face, self.rotate, step)
        )

    def _options(self) -> "Options":
        from hierarchy.data.inputs import Options

        return Options(self.value_range, self.colour, self.fetch)

    def _outputs(self, nodes: Sequence[str], X: Any) -> dict[str, np.ndarray]:
        if missing := [node for node in nodes if node not in self.nets_]:
            known = ", ".join(self.nets_)
            raise InputError(f"run {self.run_.name!r} has no {missing[0]} net: it has {known}")
        chosen = {node: self.nets_[node] for node in nodes}
        logits = averaged(partial(runtimes.outputs, chosen), as_pixels(X), self.view)
        for node, values in logits.items():
            routing.check_finite(values, f"the {node} net")
        return logits

    def _conformal(self) -> Conformal:
        """What prediction sets are made from; they serve the single view."""
        if self.view != VIEWS[0]:
            raise InputError(f"coverage is calibrated for the view {VIEWS[0]}, not for {self.view}")
        if self.conformal_ is None:
            command = f"{COMMAND} evaluate --run {self.run_.name}"
            raise InputError(f"run {self.run_.name!r} has no conformal scores for coverage; run {command}")
        return self.conformal_

    def _opened(
        self,
        run: runs.Run,
        backend: Backend = KERAS_BACKEND,
        engine: str = runtimes.AUTO,
        tree: Tree | None = None,
    ) -> Self:
        manifest = run.manifest()
        expected = tree or self._expected_tree() or manifest.tree
        expected.check_same(manifest.tree, f"run {run.name!r}")
        if not manifest.complete and FLAT not in manifest.nets:
            missing = ", ".join(node for node in manifest.tree.nodes if node not in manifest.nets)
            raise InputError(
                f"run {run.name!r} is incomplete: no {missing} net; continue with train --resume"
            )
        self.tree_ = expected  # the same tree, with the aliases of `tree`
        self.classes_ = np.sort(self.tree_.leaves)
        self.backend_ = backend
        self.engine_, self.nets_ = runtimes.nets(run, backend, engine)
        self.calibration_, self.conformal_ = manifest.calibration, manifest.conformal
        self._check(fitted=False)
        self.run_ = run
        if self.coverage is not None:
            routing.thresholds(self.tree_, self._conformal(), self.coverage)
        return self

    def _expected_tree(self) -> Tree | None:
        tree = tree_named(self.tree) if isinstance(self.tree, str) else self.tree
        if not isinstance(tree, Tree | None):
            raise InputError(f"tree {tree!r:.80}: expected a Tree, the name of one, or a .toml file")
        return tree

    def _check(self, fitted: bool = True) -> None:
        if fitted and "run_" not in self.__dict__:
            from hierarchy import estimator

            raise estimator.not_fitted("this HierarchicalClassifier is not fitted: call fit, or load a run")
        for name in ("flat_rows", "fetch"):
            if not isinstance(value := getattr(self, name), bool | int | np.bool_):
                raise InputError(f"{name} {value!r:.80}: expected True or False")
        check_choice("routing", self.routing, ROUTINGS)
        check_choice("view", self.view, VIEWS)
