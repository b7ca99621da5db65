"""Action units from the features of a flat net: a linear head learned without labelled photographs.

FER-2013 names expressions, not units. The head learns from drawn faces, whose units are known; from real
Training faces, each with the mean activations of its expression's prototype; or from both. On drawn faces
it is compared with the truth. On real ones nobody knows it; covering a part of the face tells where each
unit is seen.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data import audit, loading
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.synthetic import sketch
from hierarchy.data.synthetic.action_units import REGIONS, STRENGTHS, Unit, expected
from hierarchy.errors import InputError
from hierarchy.evaluation.evaluate import faces_for, report_folder
from hierarchy.evaluation.predictions import MAIN
from hierarchy.inference.explanation import PARTS, mask
from hierarchy.inference.occlusion import GREY
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.reports.tables import percent, table
from hierarchy.taxonomy import FLAT, spelling

FILE, REPORT = "action_units.json", "ACTION_UNITS.md"
DRAWN: Final = 4000  # faces
SEED: Final = 20260  # of the drawn faces; those of --data sketch have another
COVERED: Final = 400  # real faces whose parts are covered
PRESENT: Final = 0.4  # activation from which a unit counts as present
ALPHAS: Final = np.logspace(-2, 5, 8)  # of the ridge regression, which chooses for each unit

Head = Callable[[np.ndarray], np.ndarray]  # features float[N, F] to activations float[N, units]


def write(name: str, data: str | None, out: Path | None) -> str:
    """Fit the heads on Training and drawn faces, evaluate them on PublicTest and other drawn faces.

    Args:
        name: of the run whose flat net gives the features.
        data: as in `evaluate.evaluate`.
        out: folder of the report; None: the run's own.

    Returns:
        The tables, and the path of the report.

    Raises:
        InputError: unknown run, or without a flat net; fewer than two expressions with a prototype in
            Training or PublicTest; or as `evaluate.report_folder`.
    """
    run = runs.run(name)
    run.net(FLAT)
    manifest = run.manifest()
    faces = faces_for(manifest, data)
    own = manifest.data.get("fingerprint") == loading.fingerprint(faces)
    folder = report_folder(out, run, None if own else faces.source, *MAIN, None)
    scores = {"run": name, "net": manifest.checksums[FLAT], **_measure(run, faces)}
    text = _markdown(scores)
    page = f"# Action units by run {name}\n\n{text}\n"
    folder.mkdir(parents=True, exist_ok=True)
    fileio.write_json(folder / FILE, scores)
    fileio.write_atomic(folder / REPORT, page.encode())
    return f"{text}\n{folder / REPORT}"


def _measure(run: runs.Run, faces: FaceDataset) -> dict[str, Any]:
    KERAS_BACKEND.start()
    from hierarchy.models.features import describer

    described = describer(run.net(FLAT))

    def features(pixels: np.ndarray) -> np.ndarray:
        return described(pixels)[0]

    training, test = _real(faces)
    drawn = sketch.sketch_faces(DRAWN, SEED)
    learned, held = drawn.split == Split.Training, drawn.split != Split.Training
    units, seen = sketch.activations(drawn.label, SEED), features(drawn.pixels)
    lessons = {
        "drawn": (seen[learned], units[learned]),
        "prototypes": (features(training.pixels), _prototypes(training)),
    }
    rows, targets = zip(*lessons.values(), strict=True)
    heads = {name: _fitted([x], [y]) for name, (x, y) in lessons.items()} | {"both": _fitted(rows, targets)}
    some = test.take(np.sort(np.random.default_rng(SEED).permutation(len(test))[:COVERED]))
    whole, covered = features(some.pixels), {part: features(_covered(some, part)) for part in PARTS}
    tests = {"drawn": (seen[held], units[held]), "real": (features(test.pixels), _prototypes(test))}
    return {
        "n": {"training": len(training), "drawn": len(drawn), "real": len(test), "covered": len(some)},
        "heads": {
            name: {
                "auc": {on: _auc(head(x), y > PRESENT) for on, (x, y) in tests.items()},
                "strength": _strength(head(seen[held]), units[held], drawn.label[held]),
                "drops": _drops(head, whole, covered, _prototypes(some) > PRESENT),
            }
            for name, head in heads.items()
        },
    }


def _real(faces: FaceDataset) -> tuple[FaceDataset, FaceDataset]:
    """Training faces, and PublicTest faces without copies of them, of expressions that have a prototype."""
    codes = [code for code, name in enumerate(faces.names) if spelling(name) in STRENGTHS]
    known, copies = np.isin(faces.label, codes), audit.leaks(faces)[1]
    parts = [
        faces.take(known & ~copies & (faces.split == split)) for split in (Split.Training, Split.PublicTest)
    ]
    if any(len(np.unique(part.label)) < 2 for part in parts):  # one has no units that others lack
        raise InputError(
            f"{faces.source}: expected Training and PublicTest faces of two or more of {', '.join(STRENGTHS)}"
        )
    return parts[0], parts[1]


def _prototypes(faces: FaceDataset) -> np.ndarray:
    """Mean activations of each face's expression, float64[N, units]."""
    names, index = np.unique(faces.label, return_inverse=True)
    return np.array([expected(spelling(faces.names[code])) for code in names])[index]


def _fitted(rows: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> Head:
    """A linear head on features float[N, F] of one or several sets of faces, each set of the same weight."""
    from sklearn.linear_model import RidgeCV

    weight = np.concatenate([np.full(len(each), 1 / len(each)) for each in rows])
    model = RidgeCV(ALPHAS, alpha_per_target=True)
    model.fit(np.concatenate(rows), np.concatenate(targets), sample_weight=weight / weight.mean())
    return model.predict


def _auc(activations: np.ndarray, present: np.ndarray) -> dict[str, float]:
    """Area under the ROC curve of activations float[N, units], by unit; without units of no or all faces."""
    from sklearn.metrics import roc_auc_score

    return {
        unit.name: float(roc_auc_score(truth, values))
        for unit, values, truth in zip(Unit, activations.T, present.T, strict=True)
        if truth.any() and not truth.all()
    }


def _strength(activations: np.ndarray, truth: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Correlation with the truth, by unit, within expressions: of float[N, units], less the labels' means."""
    code = np.unique(label, return_inverse=True)[1]
    member = np.eye(code.max() + 1)[code]
    mean = member @ (member.T / member.sum(axis=0)[:, None])  # of the faces of one expression
    ours, theirs = activations - mean @ activations, truth - mean @ truth
    products = (ours * theirs).sum(axis=0) / np.sqrt((ours**2).sum(axis=0) * (theirs**2).sum(axis=0))
    return {unit.name: float(value) for unit, value in zip(Unit, products, strict=True)}


def _covered(faces: FaceDataset, part: str) -> np.ndarray:
    return np.where(mask(part), np.uint8(GREY), faces.pixels)


def _drops(
    head: Head, whole: np.ndarray, covered: Mapping[str, np.ndarray], present: np.ndarray
) -> dict[str, dict[str, float]]:
    """Mean drop of a unit's activation when a part is covered, in faces that have the unit."""
    drops = {part: head(whole) - head(features) for part, features in covered.items()}
    return {
        unit.name: {part: float(drop[present[:, index], index].mean()) for part, drop in drops.items()}
        for index, unit in enumerate(Unit)
        if present[:, index].any()
    }


def _markdown(scores: Mapping[str, Any]) -> str:
    n, heads = scores["n"], scores["heads"]
    header = ("learned from", "AUC, drawn faces", "AUC, real faces", "strength", "seen where they act")
    rows = [
        (
            name,
            *(percent(np.mean(list(auc.values()))) for auc in each["auc"].values()),
            f"{np.mean(list(each['strength'].values())):.2f}",
            _places(each["drops"]),
        )
        for name, each in heads.items()
    ]
    units = [
        (
            f"{unit.value} {unit.name.lower().replace('_', ' ')}",
            REGIONS[unit],
            *(f"{each['strength'][unit.name]:.2f}" for each in heads.values()),
            *(_largest(each["drops"].get(unit.name)) for each in heads.values()),
        )
        for unit in Unit
    ]
    titles = (
        "unit",
        "where it acts",
        *(f"strength, {each}" for each in heads),
        *(f"seen in, {each}" for each in heads),
    )
    return (
        f"A linear head on the features of the flat net. Drawn: {n['drawn']:,} faces with known units, a "
        f"fifth held out. Prototypes: {n['training']:,} Training faces. Real: {n['real']:,} PublicTest "
        "faces without copies in Training; a unit counts as present where the prototype of the label has it. "
        "Strength: correlation of predicted and true activation between drawn faces of one expression, mean "
        "over units. Seen in: the part that lowers the unit most when it is covered, in "
        f"{n['covered']:,} of the real faces.\n\n{table(header, rows)}\n\n{table(titles, units)}"
    )


def _places(drops: Mapping[str, Mapping[str, float]]) -> str:
    right = [_largest(parts) == REGIONS[Unit[name]] for name, parts in drops.items()]
    return f"{sum(right)} of {len(right)} units"


def _largest(drops: Mapping[str, float] | None) -> str:
    return max(drops, key=lambda part: drops[part]) if drops else "-"
