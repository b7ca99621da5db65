"""summary.md: scores and costs of the recipes whose nets are stored, as means over their seeds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hierarchy import runs
from hierarchy.data.dataset import Split
from hierarchy.evaluation import benchmarks
from hierarchy.evaluation.comparison import MAIN, PARTS, Group, without_blur
from hierarchy.evaluation.systems import FLAT_SYSTEM, SOFT
from hierarchy.manifest import RunManifest
from hierarchy.reports.tables import accuracy, figure, table
from hierarchy.runtimes import LOSSLESS
from hierarchy.taxonomy import FLAT

FILE: Final = "summary.md"
FREE: Final = ("single", "leak-free")  # view and part without copies in Training
BATCH: Final = "64"  # faces at once
HEADER: Final = ("runs", "answer", "systems", "accuracy", PARTS[FREE[1]], "NLL", "GMAC", "ms a face")
LEGEND: Final = (
    f"Recipes of the runs whose nets are stored. {Split.PrivateTest.name}, one view a face, in percent: mean "
    "over systems (seeds, or choices of them) ± standard deviation, with the 95 % interval of a bootstrap "
    "over faces. NLL: mean negative log likelihood. GMAC: billions of multiplications for a face. "
    f"Milliseconds: {BATCH} faces at once by the fastest engine with the labels of the run's own nets, where "
    "measured."
)


def markdown(groups: Sequence[Group], scored: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A table of the recipes of stored runs, with and without the blur before the nets.

    Args:
        groups: all groups of runs.
        scored: rows of `comparison.lines` by the title of their group.
    """
    recipes = [without_blur(each.manifests[0]) for each in groups if any(map(_stored, each.manifests))]
    ms = benchmarks.answering(benchmarks.latest())
    lines = [
        line
        for group in groups
        if without_blur(group.manifests[0]) in recipes
        for line in _lines(group.title, scored[group.title], _speeds(group.manifests[0], ms))
    ]
    return "\n\n".join(["# Models", LEGEND, table(HEADER, lines)]) + "\n"


def _lines(
    title: str, rows: Sequence[Mapping[str, Any]], speeds: Mapping[str, float | None]
) -> Iterator[tuple[Any, ...]]:
    """The tree, the flat net, and as many flat nets as cost the same as the tree."""
    for row in rows:
        if row["answer"] in (SOFT, FLAT_SYSTEM) or row["equal_compute"]:
            scores, free = row["scores"][MAIN], row["scores"].get(FREE)
            yield (
                title,
                row["answer"],
                scores["systems"],
                accuracy(scores),
                accuracy(free) if free else "-",
                figure(row["nll"], ".3f"),
                figure(row["gmac"], ".3f"),
                figure(speeds.get(row["answer"]), ".2f"),
            )


def _speeds(manifest: RunManifest, ms: Mapping[str, Any]) -> dict[str, float | None]:
    """Milliseconds a face of the answer that a run was exported for."""
    nets = next(iter(manifest.exports.values()), {})
    speed = benchmarks.stored_speed(ms, manifest.run, LOSSLESS, BATCH)
    return {FLAT_SYSTEM if FLAT in nets else SOFT: speed}


def _stored(manifest: RunManifest) -> bool:
    """Whether a run's nets or their exports are in its folder; of trials only what they predicted is kept."""
    folder = runs.run(manifest.run).folder
    own = [net.file for net in manifest.nets.values()]
    exported = [name for nets in manifest.exports.values() for net in nets.values() for name in net.files]
    return any(files and all((folder / name).is_file() for name in files) for files in (own, exported))
