"""frontier.png: accuracy on PrivateTest against milliseconds a face, of the stored runs and of the peers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hierarchy import runs
from hierarchy.data.dataset import Split
from hierarchy.evaluation import benchmarks, run_report
from hierarchy.evaluation.benchmarks import median, name_of
from hierarchy.evaluation.scores import Scores
from hierarchy.reports import figure as plots
from hierarchy.runtimes import ENGINES, LOSSLESS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE: Final = "frontier.png"
BATCHES: Final = ("1", "64")  # faces at once
RUNS: Final = ("tiny", "small", "duo", "fast", runs.DEFAULT_RUN, "full")  # those that are stored
PEERS: Final = ("fer 25.10.3", "facex 1.1.0")
ORANGE: Final = "#d55e00"  # beside blue, told apart by all kinds of colour vision
OURS, INT8, PEER = "ours", "int8", "peer"
STYLE: Final = {OURS: (plots.BLUE, "o"), INT8: (plots.BLUE, "o"), PEER: (ORANGE, "s")}  # colour, marker
TICKS: Final = [digit * 10**power for power in range(-2, 3) for digit in (1, 2, 5)]  # milliseconds
SIDES: Final = (  # offsets of a label in points, and its alignment, by preference
    *(((-7, 5), "right", "bottom"), ((7, -5), "left", "top"), ((7, 5), "left", "bottom")),
    *(((-7, -5), "right", "top"), ((0, 10), "center", "bottom"), ((0, -10), "center", "top")),
    *(((-9, 16), "right", "bottom"), ((9, -16), "left", "top"), ((-9, 30), "right", "bottom")),
    *(((9, 16), "left", "bottom"), ((9, -30), "left", "top"), ((9, 30), "left", "bottom")),
)
MARK: Final = 6  # half the side of a point, in pixels
NEAR: Final = 9  # points between a point and its name, from which on a line leads to it
FLOOR: Final = 60.0  # accuracy in percent; less accurate ones stand here, with their figure


@dataclass(frozen=True)
class Point:
    """A system in the picture."""

    name: str
    kind: str  # of STYLE
    ms: Mapping[str, float]  # a face, by faces at once
    accuracy: float


def stored() -> list[str]:
    """The runs of RUNS that there are."""
    return [name for name in RUNS if runs.run(name).folder.is_dir()]


def engines(run: str) -> tuple[str, ...]:
    """Those of a run that are measured: in int8 where the repository has the nets of Keras to export."""
    if run == runs.DEFAULT_RUN:
        return tuple(ENGINES)
    int8 = ("onnx-int8", "litert-int8") if any(runs.run(run).folder.glob("*.keras")) else ()
    return (*runs.run(run).manifest().exports, *int8)


def points(measured: Mapping[str, Any]) -> list[Point]:
    """Each run by its fastest engine, with its own labels and in int8, and the peers; on most cores.

    Accuracy is that of scores.json for engines that keep the labels, else it was measured beside.
    """
    ms, accuracy = benchmarks.answering(measured), measured.get("accuracy", {})
    peers = [_point(peer, PEER, [peer], ms, accuracy) for peer in PEERS if peer in accuracy]
    ours = []
    for run in stored():
        title = "default" if run == runs.DEFAULT_RUN else run
        lossless = {name_of(run, engine): _scored(run) for engine in LOSSLESS}
        ours.append(_point(title, OURS, lossless, ms, lossless))
        others = {name_of(run, engine) for engine in ENGINES.keys() - set(LOSSLESS)} & accuracy.keys()
        ours.append(_point(f"{title}, int8", INT8, others, ms, accuracy))
    return [point for point in (*ours, *peers) if point]


def _scored(run: str) -> Mapping[str, Any]:
    return Scores.read(runs.run(run).folder / run_report.SCORES).tree["soft"]


def _point(
    title: str, kind: str, names: Iterable[str], ms: Mapping[str, Any], accuracy: Mapping[str, Any]
) -> Point | None:
    """The fastest of some rows that were measured."""
    rows = {name: {batch: median(ms[name][batch]) for batch in BATCHES} for name in names if name in ms}
    if not rows:
        return None
    best = min(rows, key=lambda name: rows[name][BATCHES[-1]])
    return Point(title, kind, rows[best], 100 * accuracy[best]["accuracy"])


def frontier(points: Sequence[Point], batch: str) -> list[Point]:
    """Those that nothing as fast is as accurate as, the fastest first."""
    best = list[Point]()
    for point in sorted(points, key=lambda point: (point.ms[batch], -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def drawn(points: Sequence[Point], processor: str) -> "Figure":
    """A panel for each number of faces at once; steps along the frontier."""
    title = f"{Split.PrivateTest.name}, six of seven classes\n{processor}"
    figure, panels = plots.canvas(1, len(BATCHES), (11.0, 5.2), title)
    points = [_raised(point) for point in points]
    for axes, batch in zip(panels, reversed(BATCHES), strict=True):
        _panel(axes, points, batch)
        axes.set_title(f"{batch} face{'' if batch == '1' else 's'} at once")
    panels[0].set_ylabel("accuracy, %")
    figure.draw_without_rendering()  # lays it out
    figure.set_layout_engine("none")  # labels do not move the panels
    for axes, batch in zip(panels, reversed(BATCHES), strict=True):
        _label(axes, points, batch)
    return figure


def _raised(point: Point) -> Point:
    """A point that is not below FLOOR, with its accuracy in its name if it was."""
    if point.accuracy >= FLOOR:
        return point
    return replace(point, name=f"{point.name}: {point.accuracy:.1f} %", accuracy=FLOOR)


def _panel(axes: "Axes", points: Sequence[Point], batch: str) -> None:
    """Points, filled where a run has its own labels, and the frontier."""
    best, times = frontier(points, batch), [point.ms[batch] for point in points]
    left, right = 0.4 * min(times), 1.8 * max(times)
    steps = [(point.ms[batch], point.accuracy) for point in best]
    axes.step(*zip(*steps, (right, best[-1].accuracy), strict=True), where="post", color="#999999", zorder=1)
    for point in points:
        shade, mark = STYLE[point.kind]
        face = "white" if point.kind == INT8 else shade
        mark = "v" if point.accuracy == FLOOR else mark
        axes.plot(point.ms[batch], point.accuracy, mark, color=shade, markerfacecolor=face, markersize=8)
    axes.set(xscale="log", xlim=(left, right), xlabel="milliseconds a face")
    axes.set_xticks([tick for tick in TICKS if left < tick < right])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.margins(y=0.12)


def _label(axes: "Axes", points: Sequence[Point], batch: str) -> None:
    """Names beside the points, each where it covers no other name and no point."""
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    places = [axes.transData.transform((point.ms[batch], point.accuracy)) for point in points]
    taken = [Bbox.from_extents(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in places]
    for point in points:
        for offset, across, up in SIDES:
            label = axes.annotate(
                point.name,
                (point.ms[batch], point.accuracy),
                offset,
                textcoords="offset points",
                ha=across,
                va=up,
                fontsize=plots.TICK,
                color=STYLE[point.kind][0],
                path_effects=[withStroke(linewidth=3, foreground="white")],
                arrowprops={"arrowstyle": "-", "color": "#999999", "shrinkA": 0, "shrinkB": 3}
                if max(map(abs, offset)) > NEAR
                else None,
            )
            label.get_window_extent()  # puts it in its place
            box = Text.get_window_extent(label)  # without its line
            if not box.count_overlaps(taken):
                break
            if offset != SIDES[-1][0]:
                label.remove()
        taken.append(box)
