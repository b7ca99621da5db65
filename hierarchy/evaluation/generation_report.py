"""The report on a generator: contact sheet, distances to real faces, and copies of those it learned."""

from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data import audit, loading
from hierarchy.data.dataset import SKETCH, FaceDataset, Split
from hierarchy.data.splits import select_split
from hierarchy.errors import InputError
from hierarchy.evaluation import distances
from hierarchy.evaluation.generation import learnable
from hierarchy.evaluation.statistics import share
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.reports import contact_sheet
from hierarchy.reports.figure import png
from hierarchy.reports.tables import accuracy, table
from hierarchy.taxonomy import FLAT, Tree
from hierarchy.training.generators import GeneratorRecord, generator

SHEET, SCORES, REPORT = "faces.png", "scores.json", "REPORT.md"
SHOWN: Final = 10  # faces of a class on the sheet, and closest pairs
GREYS: Final = 48  # of the sheet: half the bytes of all
QUANTILE: Final = 0.01  # of the distances of unseen faces; nearer ones are suspected copies


def write(name: str, data: str | None, features: str, count: int, seed: int) -> str:
    """Draw `count` faces with the classes of as many PublicTest faces, and compare both with Training.

    Args:
        name: of the generator.
        data: as in `loading.labelled_faces`; None: what it learned, if that was drawn.
        features: run whose flat net describes the faces.
        count: PublicTest faces with a copy in Training do not count, which may leave fewer.
        seed: of the drawn faces and of the choice of real ones.

    Returns:
        The tables, and the path of the report.

    Raises:
        InputError: generator, run or data are missing or damaged, or it learned other data.
    """
    place = generator(name)
    record, net, judge = place.record(), place.net(), runs.run(features)
    judge.net(FLAT)
    training, test = _real(record, data, name)
    random = np.random.default_rng(seed)
    test = test.take(np.sort(random.permutation(len(test))[:count]))
    code = test.label.astype(np.int64)
    extra = [np.full(max(0, SHOWN - (code == each).sum()), each) for each in range(len(record.classes))]
    shown = np.concatenate([code, *extra])
    drawn = KERAS_BACKEND.sample(net, len(record.classes), shown, seed)
    scores = {
        "generator": record.sha256,
        "epochs": len(record.history),
        "features": {features: judge.manifest().checksums[FLAT]},
        "seed": seed,
        "n": len(code),
        **_scores(judge, training, test, drawn[: len(code)], random),
    }
    lines = {each: drawn[shown == row][:SHOWN] for row, each in enumerate(record.classes)}
    title = f"Generator {name}, after {len(record.history)} epochs on {record.data.get('source')}"
    text = _markdown(scores, features)
    page = f"# Generator {name}\n\n![Generated faces, a line for each class]({SHEET})\n\n{text}\n"
    fileio.write_atomic(place.folder / SHEET, png(contact_sheet.sheet(lines, title), shades=GREYS))
    fileio.write_atomic(place.folder / REPORT, page.encode())
    fileio.write_json(place.folder / SCORES, scores)
    return f"{text}\n{place.folder / REPORT}"


def _real(record: GeneratorRecord, data: str | None, name: str) -> tuple[FaceDataset, FaceDataset]:
    """The faces that a generator learned, and the PublicTest faces of its classes without copies of them."""
    source = record.data.get("source")
    faces = loading.labelled_faces(SKETCH if data is None and source == SKETCH else data)
    if loading.fingerprint(faces) != record.data.get("fingerprint"):
        raise InputError(f"{faces.source}: not the faces that generator {name!r} learned ({source})")
    known = [faces.names.index(each) for each in record.classes]
    unseen = faces.take(
        (faces.split == Split.PublicTest) & np.isin(faces.label, known) & ~audit.leaks(faces)[1]
    )
    unseen = select_split(unseen, Split.PublicTest)
    return learnable(faces), FaceDataset(
        unseen.pixels,
        np.searchsorted(known, unseen.label).astype(np.int8),
        unseen.split,
        unseen.row,
        source=faces.source,
        names=record.classes,
    )


def _scores(
    judge: runs.Run, training: FaceDataset, test: FaceDataset, drawn: np.ndarray, random: np.random.Generator
) -> dict[str, Any]:
    from hierarchy.models.features import describer  # Keras has been started

    sets = {"Training": training.pixels, "PublicTest": test.pixels, "generated": drawn}
    described = describer(judge.net(FLAT))
    seen = {name: described(pixels) for name, pixels in sets.items()}
    some = seen["Training"][0][_alike(training.label, test.label, random)]
    small = {name: audit.thumbnails(pixels) for name, pixels in sets.items()}
    mirrored = audit.thumbnails(training.pixels[:, :, ::-1])
    small["Training"] = np.concatenate([small["Training"], mirrored])
    tree = judge.manifest().tree
    return {
        "sets": {
            name: {
                "frechet": distances.frechet(some, seen[name][0]),
                **dict(
                    zip(("precision", "recall"), distances.precision_recall(some, seen[name][0]), strict=True)
                ),
                "recognised": _recognised(seen[name][1], test, tree),
            }
            for name in ("generated", "PublicTest")
        },
        "copies": {
            "thumbnails": _copies(small, training.row),
            "features": _copies({name: each[0] for name, each in seen.items()}, training.row),
        },
    }


def _alike(label: np.ndarray, wanted: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Random rows of the classes int[N] that are wanted, each once where there are enough: int64[N]."""
    rows = np.empty(len(wanted), np.int64)
    for code in np.unique(wanted):
        own, places = np.flatnonzero(label == code), wanted == code
        rows[places] = random.choice(own, places.sum(), replace=len(own) < places.sum())
    return rows


def _recognised(logits: np.ndarray, faces: FaceDataset, tree: Tree) -> dict[str, Any]:
    """How many faces are given the class that was asked for, of those that the judging tree has."""
    target = faces.target(tree, FLAT)
    return share((logits.argmax(axis=1) == target)[target >= 0])


def _copies(vectors: dict[str, np.ndarray], row: np.ndarray) -> dict[str, Any]:
    """Distances to the nearest Training face, of generated and of unseen faces; and the closest pairs."""
    unseen = distances.nearest(vectors["PublicTest"], vectors["Training"])[0]
    made, index = distances.nearest(vectors["generated"], vectors["Training"])
    limit = float(np.quantile(unseen, QUANTILE))
    return {
        "limit": limit,
        "closer": share(made < limit),
        "median": {"generated": float(np.median(made)), "PublicTest": float(np.median(unseen))},
        "closest": [
            {"generated": int(each), "row": int(row[index[each] % len(row)]), "distance": float(made[each])}
            for each in np.argsort(made, kind="stable")[:SHOWN]
        ],
    }


def _markdown(scores: dict[str, Any], features: str) -> str:
    rows = [
        (name, f"{one['frechet']:.2f}", one["precision"], one["recall"], accuracy(one["recognised"]))
        for name, one in scores["sets"].items()
    ]
    header = ("faces", "Frechet distance", "precision, %", "recall, %", "recognised, %")
    copies = [
        (
            space,
            f"{one['median']['generated']:.3f}",
            f"{one['median']['PublicTest']:.3f}",
            f"{one['limit']:.3f}",
            accuracy(one["closer"]),
        )
        for space, one in scores["copies"].items()
    ]
    distance = (
        "distance in",
        "generated, median",
        "PublicTest, median",
        "1 % of PublicTest below",
        "generated, % below",
    )
    pairs = [
        (str(each["generated"]), str(each["row"]), f"{each['distance']:.3f}")
        for each in scores["copies"]["thumbnails"]["closest"]
    ]
    return (
        f"{scores['n']:,} faces each, of the same classes, against as many of Training; features of the flat "
        f"net of run {features}. Recognised: that net gives the class that was asked for. PublicTest faces "
        f"with a copy in Training are left out.\n\n{table(header, rows)}\n\n## Nearest Training faces\n\n"
        f"Thumbnails: 16x16 pixels of equal contrast, Training mirrored too.\n\n{table(distance, copies)}\n\n"
        f"The closest pairs of thumbnails:\n\n{table(('generated face', 'Training row', 'distance'), pairs)}"
    )
