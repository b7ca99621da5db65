"""FER+ votes: read, joined by row, and turned into targets by the paper's rules."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.data.dataset import Split
from hierarchy.data.formats import FER2013_NAMES, FERPLUS_NAMES, ferplus
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import TREES, VALENCE, Tree

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def votes(**counts: int) -> np.ndarray:
    """One row of votes."""
    return np.array([[counts.get(choice, 0) for choice in ferplus.CHOICES]], np.float32)


def shares(**parts: float) -> list[float]:
    return [parts.get(name, 0.0) for name in FERPLUS_NAMES]


def test_read(tmp_path):
    file = tmp_path / "fer2013new.csv"
    file.write_text(HEADER + "Training,fer0.png,4,0,0,1,3,2,0,0,0,0\nPrivateTest,,0,0,0,0,0,0,0,0,1,9\n")
    ballot = ferplus.read(file)
    assert ballot.name == ("fer0.png", "")
    assert ballot.split.tolist() == [Split.Training, Split.PrivateTest]
    assert ballot.votes.dtype == np.float32
    assert (ballot.votes[:1] == votes(neutral=4, sad=1, angry=3, disgust=2)).all()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "x.csv: .*usage, image name, neutral"),
        (HEADER.replace(",fear", ""), "x.csv: .*fear"),
        (HEADER, "x.csv: "),
        (HEADER + "Training,a.png,1,2,3\n", "x.csv: line 2: "),
        (HEADER + "Training,a.png,1,2,3,4,5,6,7,8,nan,0\n", "x.csv: line 2: "),
        (HEADER + "Holdout,a.png,1,2,3,4,5,6,7,8,9,0\n", "x.csv: line 2: .*'Holdout'"),
        (HEADER + "Training,../a.png,1,2,3,4,5,6,7,8,9,0\n", "x.csv: line 2: .*'../a.png'"),
        ("\x00\xff" * 50, "x.csv: "),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, text, place):
    (tmp_path / "x.csv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=place) as refusal:
        ferplus.read(tmp_path / "x.csv")
    assert "\n" not in str(refusal.value)


def test_votes_of_other_faces_are_refused(tmp_path, random_faces):
    faces = random_faces(2)
    lines = [f"{Split(split).name},a.png,9,0,0,0,0,0,0,0,0,1\n" for split in faces.split]
    (tmp_path / "x.csv").write_text(HEADER + "".join(lines))
    assert ferplus.attach(faces, tmp_path / "x.csv").votes.shape == (2, 10)
    with pytest.raises(InputError, match="x.csv: .*random"):
        ferplus.attach(random_faces(3), tmp_path / "x.csv")
    other = faces.take(np.array([0, 1]))
    other.split[1] = (other.split[1] + 1) % 3
    with pytest.raises(InputError, match="x.csv: line 3: "):
        ferplus.attach(other, tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (votes(happy=6, sad=4), shares(happy=1)),
        (votes(happy=5, sad=5), shares()),  # no more than half
        (
            votes(happy=5, sad=4, fear=1),
            shares(happy=1),
        ),  # the single vote is dropped, and 5 of 9 is more than half
        (votes(unknown=6, happy=4), shares()),
        (votes(contempt=10), shares(contempt=1)),
    ],
)
def test_majority(row, expected):
    assert ferplus.distribution(row, "majority").tolist() == [expected]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (votes(happy=8, sad=2), shares(happy=1)),  # 8 of 10 is three quarters
        (votes(happy=6, sad=4), shares(happy=0.6, sad=0.4)),
        (votes(happy=5, sad=4, fear=1), shares(happy=5 / 9, sad=4 / 9)),
        (votes(happy=6, unknown=4), shares(happy=1)),
        (votes(happy=5, unknown=5), shares()),  # half is not enough
        (votes(unknown=6, happy=4), shares()),
        (votes(happy=2, sad=2, fear=2, angry=2, neutral=2), shares()),  # five on the list
        (
            votes(happy=1, sad=1, fear=1, angry=1, neutral=1, surprise=1, disgust=1),
            shares(),
        ),  # nothing but noise
    ],
)
def test_probability(row, expected):
    assert ferplus.distribution(row, "probability")[0] == pytest.approx(expected)


def slow_probability(row: list[float]) -> list[float]:
    """The same rule with lists, one choice at a time."""
    kept = {choice: votes for choice, votes in enumerate(row) if votes > 1}
    total, chosen, rest = sum(kept.values()), {}, dict(kept)
    while rest and len(chosen) < 3 and sum(chosen.values()) < 0.75 * total:
        top = [choice for choice, votes in rest.items() if votes == max(rest.values())]
        chosen |= {choice: rest.pop(choice) for choice in top if choice < 8}
        if max(top) >= 8:
            break
    if len(chosen) > 3 or sum(chosen.values()) <= total / 2:
        return [0.0] * 8
    return [chosen.get(choice, 0) / sum(chosen.values()) for choice in range(8)]


@given(some.lists(some.lists(some.integers(0, 6), min_size=10, max_size=10), min_size=1, max_size=20))
def test_probability_agrees_with_the_rule_spelt_out(rows):
    result = ferplus.distribution(np.array(rows, np.float32), "probability")
    assert result == pytest.approx(np.array([slow_probability(row) for row in rows]), abs=1e-6)


def test_an_unknown_mode_lists_the_allowed_ones():
    with pytest.raises(InputError, match="vote"):
        ferplus.distribution(votes(happy=10), "vote")


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (votes(happy=4, sad=3, fear=3), "happy"),
        (votes(happy=4, sad=4, fear=2), None),
        (votes(happy=4, unknown=4), None),
        (votes(disgust=9), None),
        (votes(contempt=9), None),
        (votes(unknown=9), None),
        (votes(nf=10), None),
    ],
)
def test_plurality(row, name):
    assert ferplus.plurality(row, VALENCE).tolist() == [-1 if name is None else FER2013_NAMES.index(name)]


def test_plurality_follows_the_tree():
    rows = np.concatenate([votes(**{choice: 9}) for choice in ferplus.CHOICES])
    for tree in (*TREES.values(), Tree({"one": ("joy", "calm"), "two": ("contempt",)})):
        names = [ferplus.NAMES[code] if code >= 0 else None for code in ferplus.plurality(rows, tree)]
        assert names == [
            choice if choice in FERPLUS_NAMES and tree.leaf_named(choice) else None
            for choice in ferplus.CHOICES
        ]
    assert ferplus.NAMES == (*FER2013_NAMES, "contempt")


@pytest.mark.real_data
def test_published_count_of_pluralities(fer2013):
    faces = fer2013.of(Split.PrivateTest)
    code = ferplus.plurality(faces.votes, VALENCE)
    assert (code >= 0).sum() == 3328
    assert ((code >= 0) & (faces.target(VALENCE, "flat") >= 0)).sum() == 3300


def test_faces_go_by_the_labels_of_fer2013_or_of_the_taggers():
    drawn = sketch_faces(4)
    votes = np.zeros((4, len(ferplus.CHOICES)), np.float32)
    for row, choice in enumerate(("happy", "sad", "contempt", "unknown")):
        votes[row, ferplus.CHOICES.index(choice)] = 6
    faces = replace(drawn, votes=votes)
    assert ferplus.relabelled(faces, "fer2013", VALENCE) is faces
    crowd = ferplus.relabelled(faces, "ferplus", VALENCE)
    assert crowd.label.tolist() == [FER2013_NAMES.index("happy"), FER2013_NAMES.index("sad"), -1, -1]
    assert crowd.names == FER2013_NAMES
    eight = ferplus.relabelled(faces, "ferplus", TREES["ferplus8"])
    assert eight.label.tolist() == [*crowd.label[:2], eight.names.index("contempt"), -1]
    assert eight.target(TREES["ferplus8"], "router").tolist() == [0, 1, 1, -1]
    assert crowd.source == "sketch by FER+ plurality" and (crowd.pixels == faces.pixels).all()
    with pytest.raises(InputError, match="'fer'"):
        ferplus.relabelled(faces, "fer", VALENCE)
    with pytest.raises(InputError, match="sketch: .*fer2013new.csv"):
        ferplus.relabelled(drawn, "ferplus", VALENCE)
