"""Parquet of data hubs: bytes or structs, names or codes, splits in a column or in the file name."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from hierarchy.data.dataset import UNLABELLED, Split
from hierarchy.data.formats import parquet, registry
from hierarchy.data.formats.image_folder import png
from hierarchy.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 48, 48), dtype=np.uint8)
BYTES = [png(pixels) for pixels in PIXELS]


def read(path, metadata=None, **columns):
    pyarrow.parquet.write_table(pyarrow.table(columns).replace_schema_metadata(metadata), path)
    return parquet.read([path])


def test_bytes_and_names(tmp_path):
    faces = read(tmp_path / "x.parquet", image=BYTES, label=["happy", "Anger"], Usage=["Training", "val"])
    assert (faces.pixels == PIXELS).all()
    assert faces.label.tolist() == [3, 0]
    assert faces.split.tolist() == [Split.Training, Split.PublicTest]


def test_a_column_of_origins_says_which_faces_are_generated(tmp_path):
    columns = {"image": BYTES * 9, "label": ["sad"] * 18, "origin": ["generated", "web"] * 9}
    faces = read(tmp_path / "x.parquet", **columns)
    assert faces.origins() == {"real": 9, "generated": 9}
    assert (faces.split == Split.PublicTest).sum() == 1 and not faces.generated[faces.split != 0].any()
    lists = read(tmp_path / "y.parquet", image=BYTES, label=["sad"] * 2, origin=[["a"], []])
    assert lists.origins() == {"real": 2}
    with pytest.raises(InputError, match="Training only"):
        read(
            tmp_path / "z.parquet",
            image=BYTES,
            label=["sad"] * 2,
            split=["test"] * 2,
            origin=["generated"] * 2,
        )


def test_structs_and_codes(tmp_path):
    structs = [{"bytes": data, "path": "a.png"} for data in BYTES]
    faces = read(tmp_path / "test-00000-of-00001.parquet", image=structs, label=[6, 1])
    assert (faces.pixels == PIXELS).all()
    assert faces.label.tolist() == [6, 1]
    assert faces.split.tolist() == [Split.PrivateTest] * 2


def test_codes_mean_what_the_metadata_says(tmp_path):
    features = {"label": {"names": ["sad", "happiness"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    faces = read(tmp_path / "x.parquet", metadata, image=BYTES, label=[0, 1])
    assert faces.label.tolist() == [4, 3]


@pytest.mark.parametrize("names", [{"0": "sad"}, [1, 2], None])
def test_names_that_are_no_list_of_names_are_passed_over(tmp_path, names):
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}
    assert read(tmp_path / "x.parquet", metadata, image=BYTES, label=[0, 1]).label.tolist() == [0, 1]


def test_without_labels_it_is_to_predict_only(tmp_path):
    faces = read(tmp_path / "x.parquet", image=BYTES)
    assert faces.label.tolist() == [UNLABELLED] * 2
    assert faces.split.tolist() == [Split.PrivateTest] * 2


def test_without_a_split_validation_is_carved_out(tmp_path):
    faces = read(tmp_path / "x.parquet", image=BYTES[:1] * 18, label=["sad"] * 18)
    assert (faces.split == Split.PublicTest).sum() == 2


def test_several_files_count_through(tmp_path):
    for name in ("test-0", "train-0"):
        read(tmp_path / f"{name}.parquet", image=BYTES, label=[0, 1])
    faces = parquet.read(parquet.sources(tmp_path))
    assert faces.split.tolist() == [Split.PrivateTest] * 2 + [Split.Training] * 2
    assert faces.row.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        ({"label": [1]}, "image"),
        ({"image": [b"no picture"], "label": [1]}, "row 0: "),
        ({"image": BYTES[:1] + [None], "label": [1, 2]}, "row 1: "),
        ({"image": BYTES, "label": [1, 7]}, "row 1: .*7"),
        ({"image": BYTES, "label": [1.0, float("nan")]}, "row 0: .*1.0"),
        ({"image": BYTES, "label": ["sad", None]}, "row 1: .*None"),
        ({"image": BYTES, "label": ["sad", " "]}, "row 1: "),
        ({"image": BYTES, "label": ["sad", "sad"], "split": ["train", ""]}, "row 1: .*''"),
        ({"image": pyarrow.array([], pyarrow.binary()), "label": []}, "x.parquet"),
    ],
)
def test_faults_are_one_line_with_file_and_row(tmp_path, columns, place):
    with pytest.raises(InputError, match=place) as refusal:
        read(tmp_path / "x.parquet", **columns)
    assert str(refusal.value).startswith(str(tmp_path / "x.parquet")) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("data", [b"", b"binary garbage" * 20, b"PAR1"])
def test_a_damaged_file_is_one_line(tmp_path, data):
    (tmp_path / "x.parquet").write_bytes(data)
    with pytest.raises(InputError, match="x.parquet: ") as refusal:
        parquet.read([tmp_path / "x.parquet"])
    assert "\n" not in str(refusal.value)


def test_other_names_are_the_data_sets_own_in_all_files(tmp_path):
    features = {"label": {"names": ["Bored", "anger"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    read(tmp_path / "train-0.parquet", metadata, image=BYTES, label=[0, 1])
    read(tmp_path / "test-0.parquet", image=BYTES, label=["Anger", "happy"])
    faces = parquet.read(parquet.sources(tmp_path))
    assert faces.names == ("anger", "bored", "happy")
    assert faces.label.tolist() == [0, 2, 1, 0]


def test_the_source_is_the_file_or_the_folder(tmp_path):
    for name in ("test-0", "train-0"):
        assert read(tmp_path / f"{name}.parquet", image=BYTES, label=[0, 1]).source == f"{name}.parquet"
    assert parquet.read(parquet.sources(tmp_path)).source == f"{tmp_path.name}/"


def test_to_predict_only_pictures_are_asked_for(tmp_path):
    columns = {"image": [BYTES[0], None, BYTES[1]], "label": [99, 1, None], "split": ["x", "y", "z"]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    first, bad, last = registry.faces(tmp_path / "x.parquet")
    assert (np.stack([first, last]) == PIXELS).all() and str(bad).startswith("row 1: ")


def test_rows_that_unpack_to_gigabytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_UNPACKED", 2**20)
    large = bytes(2**20 + 1)
    options = {"use_dictionary": False, "compression": "zstd"}
    pyarrow.parquet.write_table(pyarrow.table({"image": [large]}), tmp_path / "x.parquet", **options)
    with pytest.raises(InputError, match="x.parquet: row group 0: "):
        list(registry.faces(tmp_path / "x.parquet"))


def test_a_picture_that_is_repeated_is_held_once(tmp_path):
    """A kB of file: 500 rows share one value of a MB, which readers tend to copy for each."""
    shared = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 500), [bytes(2**20)])
    pyarrow.parquet.write_table(pyarrow.table({"image": shared}), tmp_path / "x.parquet", compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < 10_000
    before = pyarrow.total_allocated_bytes()
    faces = registry.faces(tmp_path / "x.parquet")
    assert isinstance(next(faces), InputError)
    assert pyarrow.total_allocated_bytes() - before < 50 * 2**20
    assert len(list(faces)) == 499


def test_a_name_that_utf8_cannot_write_is_refused(tmp_path):
    features = {"label": {"names": ["\ud800", "happy"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    with pytest.raises(InputError, match=r"train-0.parquet: label .*ud800.*: expected text"):
        read(tmp_path / "train-0.parquet", metadata, image=BYTES, label=[0, 1])


@pytest.mark.parametrize("values", [[[b"a"] * 3], [{"path": "a"}], [{"bytes": [b"a"]}]])
def test_a_column_of_another_shape_is_refused(tmp_path, values):
    with pytest.raises(InputError, match="x.parquet: column image: "):
        read(tmp_path / "x.parquet", image=values)


def test_a_column_name_that_is_not_utf8_is_one_line(tmp_path):
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": BYTES, "other": [1, 2]}), path)
    path.write_bytes(path.read_bytes().replace(b"other", b"oth\xffr"))
    with pytest.raises(InputError, match="x.parquet: "):
        parquet.read([path])
