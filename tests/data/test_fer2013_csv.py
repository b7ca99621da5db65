"""Kaggle's csv files: every header, and one clear line for every fault."""

import gzip

import numpy as np
import pytest

from hierarchy.data.dataset import UNLABELLED, Split
from hierarchy.data.formats import FER2013_NAMES, fer2013_csv, registry
from hierarchy.data.formats.rows import MAX_BLANK, MAX_LINE
from hierarchy.errors import InputError

FACE = " ".join(str(value % 256) for value in range(2304))
PIXELS = (np.arange(2304) % 256).astype(np.uint8).reshape(48, 48)


def read(path, text: str | bytes):
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    return fer2013_csv.read([path])


@pytest.mark.parametrize(
    "text",
    [
        f"emotion,pixels,Usage\n3,{FACE},PublicTest\n",
        f"emotion, Usage, pixels\n3,PublicTest,{FACE}\n",
        f"\ufeffemotion,pixels,Usage\r\n3,{FACE},PublicTest\r\n\r\n",
        f'"emotion","pixels","Usage"\n"3","{FACE}","PublicTest"',
        f"emotion,pixels,Usage\n3, {FACE.replace(' ', '  ')} ,PublicTest\n",
        f"emotion;pixels;Usage\n3;{FACE};PublicTest\n",
        f"emotion\tpixels\tUsage\n3\t{FACE}\tPublicTest\n",
        f"emotion,pixels,Usage\r\n3,{FACE},PublicTest\r\n".encode("utf-16"),
        f",emotion,emotion_name,pixels,Usage\n0,3,Happy,{FACE},PublicTest\n",
    ],
    ids=["fer2013", "icml", "windows", "quoted", "wide", "semicolon", "tab", "utf16", "more columns"],
)
def test_one_face_whatever_the_spelling(tmp_path, text):
    faces = read(tmp_path / "x.csv", text)
    assert (faces.pixels == PIXELS).all() and faces.pixels.shape == (1, 48, 48)
    assert (faces.label.tolist(), faces.split.tolist(), faces.row.tolist()) == ([3], [Split.PublicTest], [0])
    assert faces.source == "x.csv"


def test_gzip(tmp_path):
    text = gzip.compress(f"emotion,pixels,Usage\n6,{FACE},Training\n".encode())
    assert (read(tmp_path / "x.csv.gz", text).pixels == PIXELS).all()


def test_train_without_usage_gets_validation_rows(tmp_path):
    faces = read(tmp_path / "train.csv", "emotion,pixels\n" + f"4,{FACE}\n" * 90)
    assert (faces.split == Split.PublicTest).sum() == 10
    assert (faces.split == Split.Training).sum() == 80


def test_test_without_labels_is_to_predict_only(tmp_path):
    faces = read(tmp_path / "test.csv", f"pixels\n{FACE}\n{FACE}\n")
    assert faces.label.tolist() == [UNLABELLED] * 2
    assert faces.split.tolist() == [Split.PrivateTest] * 2


def test_a_labelled_test_file_is_not_trained_on(tmp_path):
    assert read(tmp_path / "test.csv", f"emotion,pixels\n2,{FACE}\n").split.tolist() == [Split.PrivateTest]


GOOD = f"0,{FACE},Training\n"
HEADER = "emotion,pixels,Usage\n"


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (f"0,{FACE[:-4]},Training", "2303"),
        (f"0,{FACE} 7,Training", "2305"),
        (f"0,{FACE.replace(' 9 ', ' x ')},Training", "'x'"),
        (f"0,{FACE.replace(' 9 ', ' 256 ')},Training", "'256'"),
        (f"0,{FACE.replace(' 9 ', ' 18446744073709551625 ')},Training", "'18446744073709551625"),
        (f"0,{FACE.replace(' 9 ', ' -1 ')},Training", "'-1'"),
        (f"0,{FACE.replace(' 9 ', ' 9.5 ')},Training", "'9.5'"),
        (f"0,{FACE.replace(' 9 ', ' nan ')},Training", "'nan'"),
        ("0,,Training", "0 pixels"),
        (f"7,{FACE},Training", "label 7"),
        (f"{'1' * 5000},{FACE},Training", "label '111"),
        (f"nan,{FACE},Training", "'nan'"),
        (f",{FACE},Training", "''"),
        (f"happy,{FACE},Training", "'happy'"),
        (f"0,{FACE},Holdout", "'Holdout'"),
        (f"0,{FACE}", "2 columns"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, row, value):
    text = HEADER + GOOD * 2 + "\n" + row + "\n" + GOOD  # the blank line counts, as it does in an editor
    with pytest.raises(InputError) as refusal:
        read(tmp_path / "x.csv", text)
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path / 'x.csv'}: line 5: ") and "\n" not in message
    assert value in message


@pytest.mark.parametrize("column", ["emotion", "label", "Expression"])
def test_names_in_place_of_codes(tmp_path, column):
    rows = "".join(f"{name},{FACE},Training\n" for name in ("Anger", " happiness", '"sad"'))
    faces = read(tmp_path / "x.csv", f"{column},pixels,Usage\n{rows}")
    assert (faces.names, faces.label.tolist()) == (FER2013_NAMES, [0, 3, 4])
    faces = read(tmp_path / "x.csv", f"{column},pixels,Usage\n{rows}Müde,{FACE},Training\n")
    assert (faces.names, faces.label.tolist()) == (("anger", "happiness", "müde", "sad"), [0, 1, 3, 2])


@pytest.mark.parametrize("label", ["3", ""])
def test_a_code_among_names_is_refused(tmp_path, label):
    with pytest.raises(InputError, match=f"line 3: .*'{label}'"):
        read(tmp_path / "x.csv", f"{HEADER}sad,{FACE},Training\n{label},{FACE},Training\n")


def test_two_files_share_their_names(tmp_path):
    for name, rows in (("train.csv", f"calm,{FACE}\n" * 9), ("test.csv", f"bored,{FACE}\ncalm,{FACE}\n")):
        (tmp_path / name).write_text(f"emotion,pixels\n{rows}")
    faces = fer2013_csv.read([tmp_path / "train.csv", tmp_path / "test.csv"])
    assert faces.names == ("bored", "calm") and faces.label.tolist() == [1] * 9 + [0, 1]
    assert [(faces.split == split).sum() for split in Split] == [8, 1, 2]


def test_more_labels_than_codes_are_refused(tmp_path):
    rows = "".join(f"name{number},{FACE},Training\n" for number in range(200))
    with pytest.raises(InputError, match="x.csv: 200"):
        read(tmp_path / "x.csv", HEADER + rows)


def test_any_name_is_read_as_written(tmp_path, random_faces):
    faces = random_faces(30, names=('"a", b', "c\nd"))
    fer2013_csv.write(faces, tmp_path)
    read = fer2013_csv.read([tmp_path / "fer2013.csv"])
    assert read.names == faces.names and read.label.tolist() == faces.label.tolist()


def test_zeros_before_a_number_change_nothing(tmp_path):
    padded = " ".join(f"{value % 256:03d}" for value in range(2304))
    assert (read(tmp_path / "x.csv", f"{HEADER}0,{padded},Training\n").pixels == PIXELS).all()


def test_a_long_row_does_not_make_up_for_a_short_one(tmp_path):
    with pytest.raises(InputError, match="line 2: 2303"):
        read(tmp_path / "x.csv", f"{HEADER}0,{FACE[:-4]},Training\n0,{FACE} 7,Training\n")
    short, long = FACE.rsplit(" ", 1)[0].replace(" ", "  ", 1), f"{FACE}\t7"
    with pytest.raises(InputError, match="line 2: 2303"):
        read(tmp_path / "y.csv", f"{HEADER}0,{short},Training\n0,{long},Training\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(range(256)) * 100,
        f"emotion,Usage\n{GOOD}".encode(),
        f"pixels,Usage\n{FACE},Training".encode(),
        f"emotion,pixels,Use\n{GOOD}".encode(),
        f"emotion,label,pixels\n{GOOD}".encode(),
        HEADER.encode(),
        f"{HEADER}0,{'0 ' * MAX_LINE}".encode(),
        HEADER.encode() + b"\n" * (MAX_BLANK + 2),
    ],
    ids=["empty", "binary", "no pixels", "no label", "misspelt", "two labels", "no rows", "long", "blank"],
)
def test_a_file_of_another_kind_is_refused(tmp_path, data):
    with pytest.raises(InputError, match="x.csv: ") as refusal:
        read(tmp_path / "x.csv", data)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"plain text", lambda data: b""])
def test_a_damaged_gzip_is_refused(tmp_path, damage):
    noise = np.random.default_rng(0).integers(0, 256, (4, 2304))
    rows = "".join(f"0,{' '.join(map(str, face))},Training\n" for face in noise.tolist())
    with pytest.raises(InputError, match="x.csv.gz"):
        read(tmp_path / "x.csv.gz", damage(gzip.compress((HEADER + rows).encode())))


def test_a_flipped_byte_in_a_gzip_is_refused(tmp_path):
    data = bytearray(gzip.compress((HEADER + GOOD * 3).encode()))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InputError, match="x.csv.gz"):
        read(tmp_path / "x.csv.gz", bytes(data))


def test_faces_keep_their_order(tmp_path, random_faces):
    faces = random_faces(30)
    fer2013_csv.write(faces, tmp_path)
    assert (fer2013_csv.read([tmp_path / "fer2013.csv"]).pixels == faces.pixels).all()


def test_more_faces_than_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hierarchy.data.formats.rows.MAX_FACES", 2)
    with pytest.raises(InputError, match="x.csv: more than 2"):
        read(tmp_path / "x.csv", HEADER + GOOD * 3)


@pytest.mark.parametrize("header", ["pixels,who,emotion", "PIXELS;Usage;emotion", "pixels\t\t"])
def test_to_predict_only_pixels_are_asked_for(tmp_path, header):
    separator = next(sign for sign in ";\t," if sign in header)
    cells = ([FACE, "Ann", "99"], [FACE], ["1 2", "", ""], [FACE, "x", "", "a cell more"])
    lines = [header, *map(separator.join, cells)]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    faces = list(registry.faces(tmp_path / "x.csv"))
    bad = faces.pop(2)
    assert isinstance(bad, InputError) and str(bad).startswith("line 4: 2 pixels")
    assert [(face == PIXELS).all() for face in faces] == [True] * 3


def test_bad_rows_are_named_up_to_a_number(tmp_path):
    (tmp_path / "x.csv").write_text("pixels\n" + "1\n" * (registry.MAX_BAD + 2))
    faces = registry.faces(tmp_path / "x.csv")
    assert sum(isinstance(next(faces), InputError) for _ in range(registry.MAX_BAD)) == registry.MAX_BAD
    with pytest.raises(InputError, match="x.csv: "):
        next(faces)
