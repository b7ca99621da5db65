"""The page and the pictures have the measurements and their ratios, by processor."""

import json
from datetime import date
from pathlib import Path

import msgspec
import pytest
from benchmarks import frontier, processor, report
from benchmarks.frontier import Point

import hierarchy
from hierarchy import runs
from hierarchy.errors import InputError
from hierarchy.evaluation import benchmarks, run_report
from hierarchy.evaluation.benchmarks import Entry
from hierarchy.fileio import read_json
from hierarchy.runtimes import ENGINES

ROOT = Path(hierarchy.__file__).parents[1]

MEASURED = {
    "answering": {
        "2": {
            "ms": {
                "ONNX Runtime, float32": {"1": 5.0, "64": 3.0, report.LAZY: 2.5},
                "ONNX Runtime, int8": {"1": {"median": 2.5, "low": 2.0, "high": 3.25}, "64": 1.5},
                report.REFERENCE: {"1": 15.0, "64": 6.0, report.LAZY: 5.0},
                "peer": {"1": 0.5, "64": 0.25},
            },
            "gmac": 0.3,
            "gmac_per_second": 150.0,
            "limit_ms": 2.0,
            "megabytes": 14.0,
            "gigabytes_per_second": 7.0,
        }
    },
    "accuracy": {"peer": {"n": 100, "accuracy": 0.66, "ci95": [0.56, 0.75]}},
    "starting": {"predict": {"seconds": 0.5, "bytes": 130e6}},
    "video": {"video": {"frames": 1000, "seconds": 20.0, "bytes": 200e6}},
    "batch": {"batch": {"pictures": 1000, "seconds": 4.0, "bytes": 400e6}},
    "growth": {str(n): {"seconds": 1 + n / 250, "bytes": 200e6} for n in (1000, 100)},
}
OLD = Entry("another", ("AVX2",), 4, date(2026, 1, 2), MEASURED)
POINTS = [
    Point(name, frontier.OURS, {"1": ms, "64": ms}, accuracy)
    for name, ms, accuracy in (("slow", 3, 70), ("slower", 4, 69), ("fast", 1, 60), ("equal", 3, 69))
]


def test_the_tables_hold_the_figures_and_their_ratios():
    text = report.markdown([OLD])
    assert "| ONNX Runtime, float32 | 5.00 | 3.00 | 2.50 | 0.50 | 67 % | - |" in text
    assert "| ONNX Runtime, int8 | 2.50 (2.00 to 3.25) | 1.50 | - | 0.25 | - | - |" in text
    assert f"| {report.REFERENCE} | 15.00 | 6.00 | 5.00 | 1.00 | 33 % | - |" in text
    assert "| peer | 0.50 | 0.25 | - | 0.04 | - | 66.0 (56.0 to 75.0) |" in text
    assert "7.0 GB/s" in text and "14.0 MB of weights are read in 2.00 ms" in text
    assert "| predict | - | 0.50 | - | 130 |" in text
    assert "| video | 1,000 | 20.00 | 50 | 200 |" in text
    assert "| batch | 1,000 | 4.00 | 250 | 400 |" in text
    assert "100,000,000 pictures take 4.6 days on one such machine and 1.1 hours on a hundred" in text
    assert text.index("| predict, 100 | 100 | 1.40 | 71 | 200 |") < text.index(
        "| predict, 1000 | 1,000 | 5.00 | 200 | 200 |"
    )


def test_what_was_measured_before_stays_and_each_processor_has_a_section(own_home):
    here = processor.entry({"rounds": [], "starting": {"--help": {"seconds": 0.25, "bytes": 30e6}}})
    benchmarks.write([OLD, msgspec.structs.replace(here, date=date(2025, 1, 1))])
    assert report.write(MEASURED) == own_home / "results" / report.FILE
    new, old = benchmarks.entries()
    assert old == OLD and new.processor == here.processor and new.date == date.today()
    assert set(new.figures["starting"]) == {"--help", "predict"} and new.figures["rounds"] == []
    text = (own_home / "results" / report.FILE).read_text()
    assert "| --help | - | 0.25 | - | 30 |" in text
    assert text.index(f"## {new.processor}\n") < text.index("## another, 4 cores, AVX2\n")
    assert (own_home / "results" / report.PICTURE).read_bytes().startswith(b"\x89PNG")
    assert benchmarks.latest()["rounds"] == [] and benchmarks.latest()["video"] == MEASURED["video"]


def test_what_cannot_be_drawn_is_not_kept(own_home):
    with pytest.raises(KeyError):
        report.write({"answering": {"2": {"ms": MEASURED["answering"]["2"]["ms"]}}})
    assert not (own_home / "results").exists()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        '[{"name": "a", "instructions": [], "cores": 1, "date": "today", "figures": {}}]',
        json.dumps(msgspec.to_builtins([OLD])).replace('"limit_ms": 2.0', '"limit_ms": "2"'),
        json.dumps(msgspec.to_builtins([OLD])).replace('{"2": {', '{"two": {'),
        json.dumps(msgspec.to_builtins([OLD])).replace('"seconds": 4.0', '"seconds": [4.0]'),
    ],
)
def test_a_damaged_file_is_named_and_stays(own_home, text):
    path = own_home / "results" / benchmarks.FILE
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InputError, match=r"benchmarks\.json"):
        report.write(MEASURED)
    assert path.read_text() == text and list(path.parent.iterdir()) == [path]


def test_the_rounds_give_a_median_and_quartiles():
    assert processor.spread([5, 1, 2, 4, 3]) == {"median": 3, "low": 2, "high": 4}


def test_a_stored_run_has_the_time_of_its_fastest_engine(own_home):
    assert benchmarks.answering(benchmarks.latest()) == {}  # nothing was measured
    benchmarks.write([OLD])
    ms = benchmarks.answering(benchmarks.latest())
    assert benchmarks.stored_speed(ms, runs.DEFAULT_RUN, ["onnx", "litert", "onnx-int8"], "1") == 2.5
    assert benchmarks.stored_speed(ms, "other", ["onnx"], "1") is None


def test_the_frontier_holds_what_nothing_as_fast_is_as_accurate_as():
    assert [point.name for point in frontier.frontier(POINTS, "64")] == ["fast", "slow"]
    axes = frontier.drawn(POINTS, "a processor").axes
    assert {text.get_text() for text in axes[0].texts} == {point.name for point in POINTS}


def test_a_run_is_drawn_by_its_fastest_engine_and_in_int8_where_its_accuracy_is_known(monkeypatch):
    assert frontier.points({}) == []
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))  # read only
    names = {engine: benchmarks.name_of(runs.DEFAULT_RUN, engine) for engine in ENGINES}
    ms = {names["onnx"]: 3.0, names["litert"]: 2.0, names["onnx-int8"]: 1.0, names["litert-int8"]: 0.5}
    peer = frontier.PEERS[0]
    measured = {
        "answering": {
            "1": {"ms": {}},
            "2": {"ms": {n: {"1": 4.0, "64": t} for n, t in (ms | {peer: 1}).items()}},
        },
        "accuracy": {name: {"accuracy": 0.5} for name in (names["onnx-int8"], peer)},
    }
    scores = read_json(runs.run(runs.DEFAULT_RUN).folder / run_report.SCORES)
    own, int8, other = frontier.points(measured)
    assert (own.kind, own.ms["64"], own.accuracy) == (
        frontier.OURS,
        2.0,
        100 * scores["tree"]["soft"]["accuracy"],
    )
    assert (int8.kind, int8.ms["64"]) == (frontier.INT8, 1.0) and other == Point(
        peer, frontier.PEER, {"1": 4.0, "64": 1}, 50
    )
