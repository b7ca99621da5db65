"""report.md has the measurements and their ratios."""

import pytest
from benchmarks import report

from hierarchy import fileio

MEASURED = {
    "answering": {
        "2": {
            "ms": {
                "ONNX Runtime, float32": {"1": 5.0, "64": 3.0, report.LAZY: 2.5},
                report.REFERENCE: {"1": 15.0, "64": 6.0, report.LAZY: 5.0},
                "peer": {"1": 0.5, "64": 0.25},
            },
            "gmac": 0.3,
            "gmac_per_second": 150.0,
            "limit_ms": 2.0,
        }
    },
    "accuracy": {"peer": {"n": 100, "accuracy": 0.66, "ci95": [0.56, 0.75]}},
    "starting": {"predict": {"seconds": 0.5, "bytes": 130e6}},
    "video": {"video": {"frames": 1000, "seconds": 20.0, "bytes": 200e6}},
    "batch": {"batch": {"pictures": 1000, "seconds": 4.0, "bytes": 400e6}},
    "growth": {str(n): {"seconds": 1 + n / 250, "bytes": 200e6} for n in (1000, 100)},
}


def test_the_tables_hold_the_figures_and_their_ratios():
    text = report.markdown(MEASURED)
    assert "| ONNX Runtime, float32 | 5.00 | 3.00 | 2.50 | 0.50 | 1.50 | - |" in text
    assert f"| {report.REFERENCE} | 15.00 | 6.00 | 5.00 | 1.00 | 3.00 | - |" in text
    assert "| peer | 0.50 | 0.25 | - | 0.04 | - | 66.0 (56.0 to 75.0) |" in text
    assert "| predict | - | 0.50 | - | 130 |" in text
    assert "| video | 1,000 | 20.00 | 50 | 200 |" in text
    assert "| batch | 1,000 | 4.00 | 250 | 400 |" in text
    assert "100,000,000 pictures take 4.6 days on one such machine and 1.1 hours on a hundred" in text
    assert text.index("| predict, 100 | 100 | 1.40 | 71 | 200 |") < text.index(
        "| predict, 1000 | 1,000 | 5.00 | 200 | 200 |"
    )


def test_what_was_measured_before_stays(own_home):
    path = own_home / "results" / "benchmarks.json"
    fileio.write_json(path, {"rounds": 3, "starting": {"--help": {"seconds": 0.25, "bytes": 30e6}}})
    assert report.write(MEASURED) == own_home / "results" / report.FILE
    known = fileio.read_json(path)
    assert known["rounds"] == 3 and set(known["starting"]) == {"--help", "predict"}
    assert "| --help | - | 0.25 | - | 30 |" in (own_home / "results" / report.FILE).read_text()
    assert (own_home / "results" / report.PICTURE).read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_not_kept(own_home):
    with pytest.raises(KeyError):
        report.write({"answering": {"2": {"ms": MEASURED["answering"]["2"]["ms"]}}})
    assert not (own_home / "results").exists()
