"""Where reports are written, and when copies in Training are searched for."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hierarchy import fileio, runs
from hierarchy.data.dataset import Split
from hierarchy.data.formats import registry
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.evaluation import run_report
from hierarchy.evaluation.evaluate import evaluate
from hierarchy.reports import model_card
from hierarchy.taxonomy import FLAT, VALENCE

NOT_SEARCHED_FOR = "Copies of these faces in the run's Training split were not searched for."


def scored(data: str | None = None, out: Path | None = None, split: str = "PrivateTest") -> str:
    return evaluate("tiny", data, split=split, view="single", min_confidence=0.5, out=out)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def foreign(tmp_path) -> str:
    """Other drawn faces, each PrivateTest one of which is in their own Training too."""
    faces = sketch_faces(30, seed=9)
    test, training = (np.flatnonzero(faces.split == split) for split in (Split.PrivateTest, Split.Training))
    faces.pixels[training[: len(test)]] = faces.pixels[test]
    return str(registry.export(faces, tmp_path / "foreign", "csv"))


def test_copies_are_searched_for_in_the_training_faces_of_the_run_only(tiny_run, foreign, tmp_path):
    scored()
    assert "leak_free" in fileio.read_json(tiny_run.folder / run_report.SCORES)
    assert NOT_SEARCHED_FOR not in (tiny_run.folder / run_report.REPORT).read_text()
    scored(foreign, tmp_path / "out")
    scores = fileio.read_json(tmp_path / "out" / run_report.SCORES)
    assert not {"leak_free", "leak_free_near"} & scores.keys()
    assert NOT_SEARCHED_FOR in (tmp_path / "out" / run_report.REPORT).read_text()


@pytest.mark.parametrize(
    "place", ["tiny", "tiny/new/folder", "other", "other/PublicTest-single", "new/../tiny"]
)
def test_foreign_faces_stay_out_of_every_run(tiny_run, foreign, place):
    results = tiny_run.folder.parent
    runs.copy(tiny_run, runs.run("other"))
    before = contents(results)
    with pytest.raises(InputError, match="'(tiny|other)'"):
        scored(foreign, results / place)
    assert contents(results) == before


def test_a_link_into_a_run_is_that_run(tiny_run, foreign, tmp_path):
    (tmp_path / "link").symlink_to(tiny_run.folder)
    with pytest.raises(InputError, match="link: .*'tiny'"):
        scored(foreign, tmp_path / "link")


def test_a_run_keeps_reports_on_its_own_faces_where_it_likes_but_not_in_another(tiny_run):
    runs.copy(tiny_run, runs.run("other"))
    scored(out=tiny_run.folder / "again")
    assert (tiny_run.folder / "again" / run_report.SCORES).is_file()
    with pytest.raises(InputError, match="'other'"):
        scored(out=runs.run("other").folder)


def test_a_model_card_is_of_the_run_on_its_own_test_split_alone(tiny_run, foreign, tmp_path):
    scored(split="PublicTest")
    scored(foreign, tmp_path / "out")
    assert not list(tmp_path.rglob(model_card.FILE)) + list(tiny_run.folder.rglob(model_card.FILE))
    scored()
    assert "# Model card: tiny" in (tiny_run.folder / model_card.FILE).read_text()


def test_foreign_faces_may_go_beside_the_runs(tiny_run, foreign):
    out = tiny_run.folder.parent / "tiny-abroad"  # begins like a run's name, but is none
    scored(foreign, out)
    assert (out / run_report.SCORES).is_file()


def test_a_run_without_its_tree_is_scored_as_its_flat_net(tiny_run):
    nets = fileio.read_json(tiny_run.folder / runs.MANIFEST)["nets"]
    tiny_run.amend({"nets": {FLAT: nets[FLAT] | {"finished": False}}})
    assert "flat net only" in scored()
    text = (tiny_run.folder / run_report.REPORT).read_text()
    assert f"no net for {', '.join(VALENCE.nodes)}" in text and f"not finished: {FLAT}" in text
    assert "tree, soft" not in text
    scores = fileio.read_json(tiny_run.folder / run_report.SCORES)
    assert scores["tree"]["soft"]["accuracy"] == scores[FLAT]["accuracy"]
    assert scores["drawn"] is True


def test_the_report_draws_the_history_of_its_run(tiny_run):
    shutil.copy(Path(__file__).parents[2] / "results" / runs.DEFAULT_RUN / runs.HISTORY, tiny_run.folder)
    scored(split="PublicTest")
    assert (tiny_run.folder / "PublicTest-single" / "curves.png").is_file()
