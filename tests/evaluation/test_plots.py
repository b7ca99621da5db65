"""Pictures: one colour and one order of names everywhere, readable files, nothing global."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from hierarchy.data.formats import FERPLUS_NAMES
from hierarchy.reports import captions, mistakes, plots
from hierarchy.reports.figure import DPI
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE, colour, ink


@pytest.fixture(scope="module")
def whole(scored):
    return scored.whole


def title(figure) -> str:
    return " ".join(figure.get_suptitle().split())


def tick_names(axis) -> list[str]:
    return [label.get_text().split("\n")[0] for label in axis.get_ticklabels()]


def test_every_name_has_its_own_colour():
    names = {*FERPLUS_NAMES, *VALENCE.branches, *VALENCE.nets}
    assert len({plots.BLUE, *map(colour, names)}) == len(names) + 1


def test_files_are_small_pngs_of_a_readable_size(whole, scored):
    alone = plots.files(whole | {"has_tree": False}, scored.history[:3], sketched=True)
    for name, data in (*plots.files(whole, scored.history).items(), *alone.items()):
        assert len(data) < 200_000, name
        picture = Image.open(io.BytesIO(data))
        assert picture.format == "PNG"
        assert 400 <= picture.width <= 1600, name


def test_pictures_of_scores_say_which_faces_and_how_many(whole):
    for figure in (
        plots.confusion(whole, captions.SOFT),
        plots.confusion(whole, ROUTER),
        plots.per_class(whole),
        plots.reliability(whole),
    ):
        assert f"faces.csv, PrivateTest, n = {whole['n']}, six of seven classes" in title(figure)


def test_pictures_of_a_run_name_it(whole, scored, monkeypatch):
    monkeypatch.setattr(plots, "png", title)
    for text in plots.files(whole | {"run": "mine"}, scored.history).values():
        assert text.startswith("Run mine ")
    assert not any("Run" in text for text in plots.files(whole, scored.history).values())


def test_one_epoch_is_drawn_as_points_with_their_values(scored):
    rows = [row for row in scored.history if row["epoch"] == "2"]
    for axes in plots.curves(rows).axes[: len(VALENCE.nets)]:
        training, held, best = axes.lines
        assert [line.get_marker() for line in axes.lines] == ["s", "o", "o"]
        assert [text.get_text() for text in axes.texts] == ["40.0", "60.0"]


def test_type_is_legible_at_half_size(whole, scored):
    figures = [plots.confusion(whole, captions.SOFT), plots.per_class(whole), plots.reliability(whole)]
    for drawn in (*figures, plots.curves(scored.history)):
        texts = [text for text in drawn.findobj(Text) if text.get_text()]
        assert min(text.get_fontsize() for text in texts) * DPI / 72 / 2 >= 8  # pixels


@pytest.mark.parametrize("correct", [0, 100, 300, 600, 1000])
def test_numbers_of_a_confusion_have_contrast(whole, correct):
    counts = [[correct, 1000 - correct], [1000 - correct, correct]]
    figure = plots.confusion(whole | {"confusion": {ROUTER: counts}}, ROUTER)
    (axes,) = figure.axes
    (cells,) = axes.images
    for text in axes.texts:
        column, row = map(round, text.get_position())
        ground = to_hex(cells.to_rgba(counts[row][column] / 1000))
        assert to_hex(text.get_color()) == ink(ground)


def test_the_same_scores_give_the_same_bytes(whole):
    one, two = (plots.png(plots.confusion(whole, ROUTER)) for _ in range(2))
    assert one == two


def test_pictures_of_sketches_say_so(whole):
    assert "SKETCH" in title(plots.per_class(whole | {"drawn": True}))
    assert "SKETCH" not in title(plots.per_class(whole | {"dataset": "sketch"}))  # the key says it, no name


def test_curves_of_a_run_trained_on_sketches_say_so(whole, scored):
    assert "SKETCH" in title(plots.curves(scored.history, sketched=True))
    assert "SKETCH" not in title(plots.curves(scored.history))
    drawings, photos = (
        plots.files(whole, scored.history, sketched=sketched)["curves.png"] for sketched in (True, False)
    )
    assert drawings != photos


def test_pictures_of_a_flat_net_alone_show_no_tree(whole, scored):
    alone = whole | {"has_tree": False}
    assert "router.png" in plots.files(whole, ())
    assert plots.files(alone, ()).keys() == {"confusion.png", "per_class.png", "reliability.png"}
    for figure in (plots.confusion(alone, captions.SOFT), plots.per_class(alone)):
        assert "flat net" in title(figure) and "tree" not in title(figure)
    assert all(len(axes.containers) == 1 for axes in plots.per_class(alone).axes)
    assert [axes.get_title().split(",")[0] for axes in plots.reliability(alone).axes] == ["flat net", ""]


def test_confusion_is_in_the_order_of_the_tree_and_parts_the_branches(whole):
    (axes,) = plots.confusion(whole, captions.SOFT).axes
    assert tick_names(axes.xaxis) == tick_names(axes.yaxis) == list(VALENCE.leaves)
    edges = [VALENCE.leaf_slice(branch).start - 0.5 for branch in VALENCE.branches[1:]]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_xdata()[0] == line.get_xdata()[1]] == edges
    written = {tuple(map(round, text.get_position())): text.get_text() for text in axes.texts}
    counts = whole["confusion"][captions.SOFT]
    for row in range(len(VALENCE.leaves)):
        for column in range(len(VALENCE.leaves)):
            share = 100 * counts[row][column] / sum(counts[row])
            assert written[column, row] == f"{share:.1f} %\n{counts[row][column]}"


def test_confusion_of_the_router_has_no_line_to_part(whole):
    (axes,) = plots.confusion(whole, ROUTER).axes
    assert tick_names(axes.xaxis) == list(VALENCE.branches)
    assert not axes.lines


def test_bars_have_their_class_colour_and_the_score_as_height(whole):
    panels = plots.per_class(whole).axes
    for axes, key in zip(panels, plots.PER_CLASS, strict=True):
        assert tick_names(axes.xaxis) == list(VALENCE.leaves)
        tree, flat = axes.containers
        for rows, bars in ((whole["per_class"], tree), (whole[FLAT]["per_class"], flat)):
            for leaf, bar in zip(VALENCE.leaves, bars, strict=True):
                assert bar.get_height() == pytest.approx(100 * rows[leaf][key])
                assert to_hex(bar.get_facecolor()) == colour(leaf)


def test_reliability_draws_filled_bins_only(whole):
    figure = plots.reliability(whole)
    above = figure.axes[0]
    table = whole["reliability"][captions.SOFT]
    columns = (100 * np.array(table[key])[np.array(table["count"]) > 0] for key in ("confidence", "accuracy"))
    assert np.asarray(above.collections[0].get_offsets()) == pytest.approx(np.stack(list(columns), axis=1))
    assert sum(bar.get_height() for bar in figure.axes[len(whole["reliability"])].patches) == pytest.approx(
        100
    )


def test_curves_mark_the_epoch_that_is_best_on_public_test(scored):
    figure = plots.curves(scored.history)
    nodes = VALENCE.nets
    assert len(figure.axes) == 2 * len(nodes)
    for node, axes in zip(nodes, figure.axes, strict=False):
        assert axes.get_title().split() == f"{node}: 60.0 % of PublicTest".split()
        training, held, best = axes.lines
        assert training.get_ydata().tolist() == pytest.approx([20, 40, 60])
        assert held.get_ydata().tolist() == pytest.approx([30, 60, 50])
        assert (best.get_xdata()[0], best.get_ydata()[0]) == (2, pytest.approx(60))
        assert {to_hex(line.get_color()) for line in axes.lines} == {colour(node)}


def test_a_single_net_has_its_curves_too(scored):
    rows = [row for row in scored.history if row["node"] == ROUTER]
    assert len(plots.curves(rows).axes) == 2


def test_pictures_of_other_trees_have_their_names_and_say_how_many(other_scored, other_tree):
    whole = other_scored.whole
    count = len(other_tree.leaves)
    spelled = f"{captions.spelled(count)} of {captions.spelled(count + 1)} classes"
    (axes,) = plots.confusion(whole, captions.SOFT).axes
    assert tick_names(axes.xaxis) == list(other_tree.leaves) and spelled in title(axes.figure)
    assert tick_names(plots.confusion(whole, ROUTER).axes[0].xaxis) == list(other_tree.branches)
    assert len(plots.reliability(whole).axes) == 2 * (1 + len(other_tree.nets))
    assert set(plots.files(whole, other_scored.history)) >= {"router.png", "curves.png", "per_class.png"}


def test_numbers_are_spelled_up_to_ten():
    assert (captions.spelled(10), captions.spelled(11)) == ("ten", "11")


def test_importing_the_pictures_loads_no_plotting():
    code = "import sys, hierarchy.reports.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_mistakes_are_listed_by_pair_the_most_confident_first():
    labels = np.array([0, 0, 0, 1, 2, -1, 0])
    shares = np.array(
        [[0.1, 0.6, 0.3], [0.1, 0.9, 0], [0.9, 0.1, 0], [0, 1, 0], [0.5, 0.2, 0.3]] + [[0, 0.9, 0.1]] * 2
    )
    table = mistakes.pairs(labels, shares, ["a", "b", "c"])
    assert [(pair["labelled"], pair["predicted"], pair["faces"]) for pair in table] == [
        ("a", "b", 3),
        ("c", "a", 1),
    ]
    assert [sorted(shares[pair["rows"]].max(axis=1), reverse=True) for pair in table] == [
        [0.9, 0.9, 0.6],
        [0.5],
    ]
    assert table[0]["rows"].tolist()[-1] == 0 and [pair["share"] for pair in table] == [0.75, 1]
    pixels = np.arange(7, dtype=np.uint8).repeat(48 * 48).reshape(7, 48, 48)
    drawn = mistakes.sheet(pixels, shares, table, "title", columns=2)
    assert [text.get_text() for text in drawn.axes[0].texts] == ["90 %", "90 %"]
    assert len(mistakes.sheet(pixels, shares, [], "none").axes) == 1
