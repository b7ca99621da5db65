"""HierarchicalClassifier: three nets and the routing behind scikit-learn's manners.

A net is a callable uint8[N,48,48] -> logits; where it comes from (Keras, an exported engine, a test's
lambda) does not matter here. Keras is imported when the first net is needed, not before.
"""

import inspect
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from hierarchy import routing, runs, runtimes
from hierarchy.backends import Backend
from hierarchy.config.overrides import recipe_of, with_settings
from hierarchy.data import loading
from hierarchy.data.dataset import SIDE, UNLABELLED, FaceDataset, Split
from hierarchy.data.splits import add_validation_split
from hierarchy.errors import InputError, NotFittedError
from hierarchy.inference.predictor import FacePrediction, predict_image
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.models.preprocessing import VIEWS, averaged
from hierarchy.routing import Predictions
from hierarchy.taxonomy import BRANCHES, FER7, FLAT, LEAVES, NODES, ROUTER, expression
from hierarchy.training.backend import check_home
from hierarchy.vision.detectors import AUTO, MOVING, create_detector
from hierarchy.vision.tracker import TrackedFace, Tracker, track
from hierarchy.vision.video import Frame, Video

ROUTINGS = ("soft", "hard", "lazy")


class HierarchicalClassifier:
    """Says the apparent expression of 48x48 grey faces: branch first, then leaf.

    Args:
        recipe: name of a recipe, for `fit`.
        settings: changes to it, as in ("fit.epochs=20",).
        routing: how `predict` chooses: soft, hard or lazy (soft's labels, fewer nets run).
        view: what each net is shown of a face: single, flip or ten-crop.
        seed: of everything random in `fit`.

    Attributes:
        classes_: the leaves' names, columns of `predict_proba`, in the tree's order (not sorted).
        run_: the run that was fitted or loaded.
        engine_: what runs its nets.
    """

    def __init__(
        self,
        recipe: str = "short",
        settings: Sequence[str] = (),
        routing: str = "soft",
        view: str = "single",
        seed: int = 0,
    ) -> None:
        self.recipe = recipe
        self.settings = settings
        self.routing = routing
        self.view = view
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments.

        Raises:
            InputError: there is no such argument.
        """
        for name, value in params.items():
            if name not in self.get_params():
                raise InputError(f"unknown parameter {name!r}: allowed are {', '.join(self.get_params())}")
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any = None, validation: Any = None) -> Self:
        """Train all nodes on `X`, choosing each net's best epoch on `validation`.

        Args:
            X: Faces with labels, or uint8[N,48,48].
            y: names of the expressions, str[N]; for `fit(FaceDataset, FaceDataset)`, the validation Faces.
            validation: (Xv, yv) or Faces; X's own PublicTest rows are then left aside. Without it these
                choose, or a stratified, seeded tenth of `X`.

        Raises:
            InputError: PrivateTest rows, missing or unknown names, wrong shapes.
        """
        self._check_choices()
        KERAS_BACKEND.start()
        from hierarchy.training import train

        faces = _with_roles(X, y, validation)
        recipe = with_settings(recipe_of(self.recipe), self.settings)
        check_home(recipe, KERAS_BACKEND)
        root = Path(tempfile.mkdtemp(prefix="hierarchy-fit-"))
        weakref.finalize(self, shutil.rmtree, root, ignore_errors=True)  # goes when the estimator goes
        run = runs.Run("fit", root / "results", root / "logs")
        identity = {
            "recipe": recipe.as_dict(),
            "settings": list(self.settings),
            "seed": self.seed,
            "data": loading.describe(faces),
        }
        train.train(run, faces, recipe, nodes=NODES, identity=identity, framework=KERAS_BACKEND)
        return self._opened(run)

    @classmethod
    def load(
        cls,
        run: str = runs.DEFAULT_RUN,
        framework: Backend = KERAS_BACKEND,
        engine: str = runtimes.AUTO,
        **params: Any,
    ) -> Self:
        """The classifier of a run.

        Args:
            run: under results/.
            framework: what opens the run's own nets.
            engine: the framework's name to have it answer, or one that the run was exported to; AUTO takes
                exported nets where they are there.
            params: as in the constructor.

        Raises:
            InputError: no such run, another tree, damaged weights, an engine it was not exported to.
        """
        return cls(**params)._opened(runs.run(run), framework, engine)

    def save(self, run: str) -> None:
        """Store the fitted nets as a run under results/.

        Raises:
            InputError: a run of that name exists.
        """
        self._check()
        runs.copy(self.run_, runs.run(run))

    def predict(self, X: Any) -> np.ndarray:
        """Names of the expressions, str[N], of faces uint8[N,48,48]."""
        chosen = self.lazy(X)[0] if self.routing == "lazy" else self._rule()(self.predictions(X))
        return self.classes_[chosen]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of `classes_`, float64[N, leaves], rows sum to one, of faces uint8[N,48,48]."""
        return self.predictions(X).joint

    def score(self, X: Any, y: Any = None) -> float:
        """Fraction of faces, named by `y` or by the Faces themselves, that `predict` names rightly.

        Raises:
            InputError: a face without a name, an unknown name, wrong shapes.
        """
        label = _codes(X, y)
        named = int((label != UNLABELLED).sum())
        if not 0 < len(X) == named:
            raise InputError(f"score: {len(X)} faces, {named} names; allowed is a name for every face")
        return float(np.mean(self.predict(X) == np.array(FER7)[label]))

    def predictions(self, X: Any) -> Predictions:
        """What all nets say of faces uint8[N,48,48]; without the whole tree, the flat net's sums."""
        self._check()
        if self._whole():
            return routing.from_logits({node: self.logits(node, X) for node in NODES})
        return routing.from_flat(routing.softmax(self.logits(FLAT, X)))

    def outputs(self, X: Any) -> dict[str, np.ndarray]:
        """Logits of every net as it gives them, float32[N, its classes], for faces uint8[N,48,48]."""
        self._check()
        return {node: self._output(node, X) for node in self.nets_}

    def lazy(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """The soft labels with fewer nets: index into `classes_`, and nets run a face, both int64[N]."""
        self._check()
        if not self._whole():
            chosen = routing.soft(self.predictions(X))
            return chosen, np.ones_like(chosen)
        pixels = as_pixels(X)
        branch = routing.softmax(self.logits(ROUTER, pixels))
        asked = [
            lambda rows, node=node: routing.softmax(self.logits(node, pixels[rows])) for node in BRANCHES
        ]
        return routing.lazy(branch, asked)

    def read(
        self, source: str | Path, faces: str = AUTO, min_confidence: float = 0.0
    ) -> list[FacePrediction]:
        """What `predict` says of a picture's faces, the largest first; one without a face where it has none.

        Args:
            source: path of a picture, or of a data file.
            faces: what finds them, see `vision.detect.create_detector`.
            min_confidence: below this probability of the label, an answer stops at its branch.

        Raises:
            InputError: the picture or the detector cannot be read.
        """
        self._check()
        return predict_image(self, Path(source), create_detector(faces), min_confidence)

    def predict_video(
        self, source: str | Path, faces: str = AUTO
    ) -> Iterator[tuple[Frame, list[TrackedFace]]]:
        """What `video` says of every frame: its faces, followed and smoothed over time.

        Args:
            source: path of a video, number of a camera, or address of a stream.
            faces: what finds them, see `vision.detect.create_detector`.

        Raises:
            InputError: the source or the detector cannot be read.
        """
        self._check()
        tracker = Tracker(create_detector(faces, MOVING), self.predictions)
        with Video(str(source)) as video:
            for frame, seen, _ in track(video, tracker):
                yield frame, seen

    def logits(self, node: str, X: Any) -> np.ndarray:
        """Calibrated logits of one node, float64[N, its classes], for faces uint8[N,48,48].

        Without the whole tree they come from the flat net, as the answers do.
        """
        if node != FLAT and not self._whole():
            return routing.node_logits_from_flat(self.logits(FLAT, X), node)
        return routing.calibrated(self._output(node, X), *self.calibration_.get(node, ()))

    def _whole(self) -> bool:
        return set(NODES) <= self.nets_.keys()

    def _output(self, node: str, X: Any) -> np.ndarray:
        logits = averaged(self.nets_[node], self.view)(as_pixels(X))
        routing.check_finite(logits, f"the {node} net")
        return logits

    def _opened(self, run: runs.Run, framework: Backend = KERAS_BACKEND, engine: str = runtimes.AUTO) -> Self:
        card = run.card()
        if not set(NODES) <= set(card["nets"]) and FLAT not in card["nets"]:
            missing = ", ".join(sorted(set(NODES) - set(card["nets"])))
            raise InputError(
                f"run {run.name!r} is not complete: no net for {missing}; go on with train --resume"
            )
        self.classes_ = np.array(LEAVES)
        self.engine_, self.nets_ = runtimes.nets(run, framework, engine)
        self.calibration_ = {
            node: (np.array(value["offset"]), float(value["temperature"]))
            for node, value in card.get("calibration", {}).items()
        }
        self._check_choices()
        self.run_ = run
        return self

    def _rule(self) -> Any:
        return routing.hard if self.routing == "hard" else routing.soft

    def _check(self) -> None:
        if "run_" not in self.__dict__:
            raise NotFittedError("this HierarchicalClassifier has no nets yet: call fit, or load a run")
        self._check_choices()

    def _check_choices(self) -> None:
        for name, value, allowed in (("routing", self.routing, ROUTINGS), ("view", self.view, VIEWS)):
            if value not in allowed:
                raise InputError(f"{name} {value!r}: allowed are {', '.join(allowed)}")


def as_pixels(X: Any) -> np.ndarray:
    """Faces, or an array of them, as uint8[N,48,48].

    Raises:
        InputError: another type or shape.
    """
    pixels = X.pixels if isinstance(X, FaceDataset) else np.asarray(X)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE):
        raise InputError(
            f"faces are uint8[N,{SIDE},{SIDE}], grey 0 to 255; this is {pixels.dtype}{list(pixels.shape)}"
        )
    return pixels


def _with_roles(X: Any, y: Any, validation: Any) -> FaceDataset:
    """One Faces whose Training rows are X's and whose PublicTest rows are the validation's."""
    if isinstance(X, FaceDataset) and isinstance(y, FaceDataset):
        y, validation = None, y
    if isinstance(validation, FaceDataset):
        validation = (validation, None)
    train = _labelled(X, y, Split.Training)
    if validation is None:
        return replace(
            train,
            split=add_validation_split(train.label, X.split if isinstance(X, FaceDataset) else train.split),
        )
    if isinstance(X, FaceDataset):
        train = train.take(X.split == Split.Training)
    valid = _labelled(validation[0], validation[1], Split.PublicTest)
    return FaceDataset.joined([train, valid], train.source)


def _labelled(X: Any, y: Any, role: Split) -> FaceDataset:
    """X as faces of one role, named by `y` where it is given."""
    if isinstance(X, FaceDataset):
        if (X.split == Split.PrivateTest).any():
            raise InputError(f"{X.source}: PrivateTest rows are for reporting, not for fit")
        return replace(X, label=_codes(X, y), split=np.full(len(X), role, np.int8))
    pixels = as_pixels(X)
    row = np.arange(len(pixels), dtype=np.int32)
    return FaceDataset(pixels, _codes(X, y), np.full(len(pixels), role, np.int8), row, source="fit")


def _codes(X: Any, y: Any) -> np.ndarray:
    """Index into FER7 of every name in `y`, int8[N]; without `y`, the Faces' own labels."""
    if y is None and isinstance(X, FaceDataset):
        return X.label
    if y is None:
        raise InputError(f"an array of faces needs their names: allowed are {', '.join(FER7)}")
    return np.array([FER7.index(expression(str(name))) for name in y], np.int8)
