"""The README fits on a page, its figures are those in results/, and its commands do what it prints."""

import csv
import doctest
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hierarchy

ROOT = Path(hierarchy.__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "results"
DOOR = ("python", "tf_model.py")
COMMANDS = sorted({each.strip() for each in re.findall(r"python tf_model\.py [^`&\n]+", TEXT)})
OTHERS = re.findall(r"`((?:data|detector|generate) [a-z]+[^`]*)`", TEXT)
HARMLESS = ("predict samples", "compare", "runs list", "video samples/clip.mp4")  # the others get --help


MODELS = {  # first words of a line -> its runs and answer in summary.md
    "default tree": ("(fer2013", "tree, soft"),
    "its flat net": ("(fer2013", "flat net"),
    "fast tree": ("(fast", "tree, soft"),
    "two bodies": ("(duo", "flat net"),
    "full tree": ("(full", "tree, soft"),
    "small tree": ("(small", "tree, soft"),
    "tiny trees": ("(tiny, tiny-0, tiny-2", "tree, soft"),
    "trees of": ("(fer2013-1, half-0, half-1", "tree, soft"),
    "three of": ("(fer2013-1, half-0, half-1", "three flat nets averaged"),
}
SEEDS = "half (fer2013-1, half-0, half-1)"  # the default recipe's, before its nets were given a blur


def averaged(answer: str) -> dict:
    """A line of compare.csv of the default recipe's seeds, all faces in the single view."""
    with (RESULTS / "compare.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["answer"] == answer and row["runs"] == SEEDS]
    (row,) = [row for row in rows if (row["view"], row["part"]) == ("single", "all")]
    return row


def test_it_fits_on_a_page():
    assert len(TEXT.splitlines()) <= 150
    assert all(name in TEXT for name in ("make train", "make test", "predict"))


def test_its_accuracies_are_lines_of_the_summary():
    summary = (RESULTS / "summary.md").read_text().splitlines()
    table = TEXT[TEXT.index("## Accuracy") : TEXT.index("## Tasks")]
    rows = [line.removeprefix("| ").split(" | ", 1) for line in table.splitlines() if line.startswith("| ")]
    assert len(rows[2:]) == len(MODELS)
    for name, cells in rows[2:]:
        (runs, answer) = next(line for model, line in MODELS.items() if name.startswith(model))
        (line,) = [line for line in summary if f"{runs}) | {answer} | " in line]
        assert line.endswith(f" | {cells}"), name


def test_its_sentences_hold_what_the_comparison_says():
    tree = averaged("tree, soft")
    report = (RESULTS / "compare.md").read_text()
    gap = f"{abs(100 * float(tree['difference'])):.1f} percentage points less accurate"
    assert gap in " ".join(TEXT.split()) and gap in report


def spread(values: Iterable[float]) -> str:
    """Mean and standard deviation over seeds, in percent."""
    kept = [*values]
    return f"{100 * np.mean(kept):.1f} ± {100 * np.std(kept, ddof=1):.1f}"


def stored(kind: str, file: str) -> list[dict[str, Any]]:
    """A JSON file of the runs of all seeds."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob(f"{kind}-[0-9]/{file}"))]
    assert len(found) > 1
    return found


def rare_column(kind: str) -> dict[str, str]:
    """A column of the table in docs/generated.md: accuracy and recalls of three nets."""
    found = stored(kind, "scores.json")
    recalls = {leaf: [each["per_class"][leaf]["recall"] for each in found] for leaf in found[0]["per_class"]}
    accuracy = [each["flat"]["accuracy"] for each in found]
    values = {"accuracy": accuracy, "mean recall": np.mean([*recalls.values()], axis=0), **recalls}
    return {name: spread(each) for name, each in values.items()}


def test_the_table_of_rare_classes_is_that_of_the_runs():
    page = (ROOT / "docs" / "generated.md").read_text(encoding="utf-8")
    without, generated = rare_column("seven"), rare_column("seven-generated")
    counts = json.loads((RESULTS / "seven-0" / "recipe.json").read_text())["data"]["counts"]["Training"]
    for name, cell in without.items():
        count = f"{counts[name]:,}" if name in counts else "-"
        assert f"\n| {name} | {count} | {cell} | {generated[name]} |\n" in page


def seeds_column(kind: str) -> dict[str, str]:
    """A column of the tables of flat nets in docs/results.md and docs/baselines.md."""
    scores, manifests = stored(kind, "scores.json"), stored(kind, "recipe.json")
    rows = {
        "flat net, PublicTest": spread(each["public_test_accuracy"] for each in manifests),
        "flat net, PrivateTest": spread(each["flat"]["accuracy"] for each in scores),
    }
    for node in ("router", "positive", "negative"):
        rows[f"its sums as {node}, PrivateTest"] = spread(each["nodes"][node]["accuracy"] for each in scores)
    if "negative" in manifests[0]["nets"]:
        nets = [each["nets"]["negative"] for each in manifests]
        rows["specialist of negative, PublicTest"] = spread(net["public_test_accuracy"] for net in nets)
    return rows | {"GMAC of a net": f"{manifests[0]['nets']['flat']['macs'] / 1e9:.3f}"}


@pytest.mark.parametrize(
    "page, kinds",
    [
        ("results.md", ["parts-whole", "parts-parts", "parts-both"]),
        ("baselines.md", ["facenet-head", "facenet-last"]),
    ],
)
def test_tables_over_seeds_are_those_of_the_runs(page, kinds):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    columns = [seeds_column(kind) for kind in kinds]
    for name in columns[0]:
        assert f"\n| {name} | {' | '.join(column[name] for column in columns)} |\n" in text


def test_its_speeds_are_those_measured():
    report = (RESULTS / "benchmarks.md").read_text()
    table = TEXT[TEXT.index("## Speed") : TEXT.index("## Repository layout")]
    values = re.findall(r"\| ([\d.]+)(?: [a-z/]+)+ \|", table)
    assert len(values) == 2 and all(re.search(rf"\| {re.escape(value)} [|(]", report) for value in values)


@pytest.mark.parametrize("command", [*COMMANDS, *(f"python tf_model.py {each}" for each in OTHERS)])
def test_its_commands_run(command, tmp_path):
    words = shlex.split(command.rstrip(",.;"))
    assert tuple(words[:2]) == DOOR
    arguments = words[2:]
    for folder in ("samples", "results"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    if not any(" ".join(arguments).startswith(start) for start in HARMLESS) or "compare" in arguments:
        arguments = [*[word for word in arguments if not word.startswith("-")][:2], "--help"]
        group = arguments[0] in ("data", "detector", "generate", "runs")
        arguments = arguments if group else [arguments[0], "--help"]
    done = subprocess.run(
        [sys.executable, ROOT / "tf_model.py", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HIERARCHY_HOME": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    printed = re.search(rf"\$ {re.escape(command)}\n((?:.+\n)+?)```", TEXT)
    if printed:
        assert done.stdout == printed[1]


def test_its_python_answers_as_printed(monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    monkeypatch.chdir(ROOT)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    snippet = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, flags=re.S))
    runner.run(parser.get_doctest(snippet, {}, "README", "README.md", 0))
    assert runner.tries and not runner.failures


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_documentation_builds_without_a_broken_link(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "results" / "index.html").is_file()
