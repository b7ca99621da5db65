"""The door: `python tf_model.py train | predict | evaluate | data ...`. The work is done in hierarchy/."""

import codecs
import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hierarchy.taxonomy import FLAT, NODES

if TYPE_CHECKING:
    from hierarchy.fitting.framework import Framework

app = typer.Typer(
    help="Two-tier classifier of apparent facial expressions.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Fetch, audit and convert data sets of faces.", rich_markup_mode=None)
app.add_typer(data_app, name="data")
detector_app = typer.Typer(help="A face detector of one's own: predict --faces cnn.", rich_markup_mode=None)
app.add_typer(detector_app, name="detector")

DATA = typer.Option(
    "--data", help="File or folder of faces, or the word sketch. Default: $FER2013_DIR, then data/."
)
BACKGROUNDS = typer.Option(
    "--backgrounds", help="Folder of photographs without faces, besides scikit-learn's two."
)
RUN = typer.Option("--run", help="Name of a run; `evaluate --run list` shows them. Default: the shipped run.")
ENGINE = typer.Option(
    "--engine", help="auto, keras, or one that the run was exported to, as in onnx, onnx-int8, litert."
)
FACES = typer.Option(
    "--faces", help="auto, whole, yunet, haar, cnn, a YuNet file, or net.prototxt,net.caffemodel."
)
UNSURE = "Below this probability of the label, an answer stops at its branch."


def framework_of(context: typer.Context) -> "Framework":
    """What fits and opens nets: Keras, unless another door handed its own in."""
    from hierarchy.nets.framework import KERAS

    return context.obj or KERAS


def say(line: str) -> None:
    """Tell the user something that is not a result."""
    print(line, file=sys.stderr)


@app.command()
def train(
    context: typer.Context,
    data: Annotated[str | None, DATA] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Name or file of a recipe, or several: a,b; `list` shows them."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value, as in fit.epochs=20; warm.* is for nets that go on from flat."
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(
            "--node",
            help=f"One, or several as in a,b, of {', '.join((*NODES, FLAT))}. Default: as the recipe says.",
        ),
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="Name of the run. Default: the recipe's.")] = None,
    seed: Annotated[
        str | None, typer.Option("--seed", help="A whole number, or several: 0,1,2. Default: 0.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run of this name, as it was begun.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Same bits for the same seed.")
    ] = False,
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", help="Runs that teach, as in a,b; for recipes with fit.teacher."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", help="Run whose flat net stands in, or goes on where --node names flat."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="fer2013, or ferplus: what most taggers chose.")
    ] = None,
    devices: Annotated[
        int, typer.Option("--devices", min=1, help="That fit at once, of each host; KERAS_BACKEND=jax.")
    ] = 1,
    hosts: Annotated[
        str | None, typer.Option("--hosts", help="HOST:PORT of every process, as in a:9911,b:9911.")
    ] = None,
    rank: Annotated[int, typer.Option("--rank", min=0, help="Which of the hosts this is, from 0.")] = 0,
) -> None:
    """Train the nets of a run, or of several back to back, into results/ (checkpoints: logs/)."""
    from hierarchy import recipes
    from hierarchy.fitting import campaign
    from hierarchy.nets.framework import together

    if recipe == "list":
        return print(recipes.listing())
    framework = together(framework_of(context), devices, hosts, rank)
    for done in campaign.campaign(
        data=data,
        recipe=recipe,
        settings=settings or [],
        node=node,
        name=run,
        seed=seed,
        resume=resume,
        deterministic=deterministic,
        teacher=teacher,
        start=start,
        labels=labels,
        framework=framework,
        say=say,
    ):
        door = framework_of(context).command
        print(f"trained: {done.folder}; next: {door} evaluate --run {done.name}")


@app.command()
def evaluate(
    context: typer.Context,
    run: Annotated[str | None, RUN] = None,
    data: Annotated[str | None, DATA] = None,
    split: Annotated[str, typer.Option("--split", help="PublicTest or PrivateTest.")] = "PrivateTest",
    view: Annotated[str, typer.Option("--view", help="single, flip or ten-crop.")] = "single",
    min_confidence: Annotated[float, typer.Option("--min-confidence", min=0, max=1, help=UNSURE)] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the report. Default: the run's, or SPLIT-VIEW/ in it."),
    ] = None,
    corrupted: Annotated[
        bool, typer.Option("--corrupted", help="Also measure what fifteen corruptions of the picture cost.")
    ] = False,
    ensemble: Annotated[
        str | None,
        typer.Option("--ensemble", help="Runs that answer together, as in a,b, by what they predicted."),
    ] = None,
    vote: Annotated[
        bool, typer.Option("--vote", help="In an ensemble, a vote for each run instead of their mean.")
    ] = False,
    engine: Annotated[str | None, ENGINE] = None,
) -> None:
    """Score a run on a split: scores, report and pictures."""
    from hierarchy import runs
    from hierarchy.errors import InputError
    from hierarchy.reports import ensemble as together
    from hierarchy.reports import evaluation

    if run == "list":
        return print("\n".join(runs.names()))
    if vote and not ensemble:
        raise InputError("--vote: for several runs, --ensemble RUN,RUN")
    if ensemble:
        if run or corrupted or engine:
            raise InputError(
                "--ensemble reads what its runs predicted, and goes without --run, --corrupted, --engine"
            )
        names = ensemble.split(",")
        return print(
            together.evaluate(names, data, split=split, view=view, floor=min_confidence, vote=vote, out=out)
        )
    said = evaluation.evaluate(
        run or runs.SHIPPED,
        data,
        split=split,
        view=view,
        floor=min_confidence,
        out=out,
        corrupted=corrupted,
        framework=framework_of(context),
        engine=engine,
    )
    print(said)


@app.command()
def export(
    run: Annotated[str | None, RUN] = None,
    kind: Annotated[str, typer.Option("--format", help="onnx, litert or openvino.")] = "onnx",
    precision: Annotated[
        str, typer.Option("--precision", help="Of the stored weights: float32, float16 or int8.")
    ] = "float32",
    data: Annotated[str | None, DATA] = None,
) -> None:
    """Turn a run's nets into small artefacts that answer without Keras."""
    from hierarchy import runs
    from hierarchy.nets import export as exporting
    from hierarchy.reports import evaluation

    chosen = runs.run(run or runs.SHIPPED)
    for line in exporting.export(chosen, kind, precision, lambda: evaluation.faces_for(chosen.card(), data)):
        print(line)


@app.command()
def compare() -> None:
    """Hold tree against flat net over all runs in results/."""
    from hierarchy.reports import compare

    print(compare.compare())


@app.command()
def predict(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, folders, globs, data files.", show_default=False)
    ],
    run: Annotated[str | None, RUN] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line and face.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead.")] = None,
    routing: Annotated[str, typer.Option("--routing", help="soft or hard.")] = "soft",
    view: Annotated[str, typer.Option("--view", help="single, flip or ten-crop.")] = "single",
    min_confidence: Annotated[float, typer.Option("--min-confidence", min=0, max=1, help=UNSURE)] = 0.0,
    engine: Annotated[str, ENGINE] = "auto",
    faces: Annotated[str, FACES] = "auto",
    save: Annotated[
        Path | None, typer.Option("--save", help="Folder for pictures with the answers drawn on them.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="With --save: draw where the net that decided looked.")
    ] = False,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="No probabilities, and so fewer nets run a face.")
    ] = False,
) -> None:
    """Say the apparent expression of each picture."""
    from hierarchy import runs
    from hierarchy.errors import InputError
    from hierarchy.reports import listing

    if csv and as_json:
        raise InputError("--json and --csv: choose one")
    if csv and csv.resolve() in [Path(path).resolve() for path in paths]:
        raise InputError(f"--csv {csv}: is one of the pictures; name another file")
    if explain and not save:
        raise InputError("--explain draws on what --save DIR writes: give both")
    if labels_only and (min_confidence or routing != "soft"):
        raise InputError("--labels-only gives soft's labels, and goes without --routing and --min-confidence")

    show = listing.as_csv(csv) if csv else listing.as_json if as_json else listing.as_text
    bad = listing.predict(
        paths,
        run or runs.SHIPPED,
        show,
        say,
        labels_only=labels_only,
        faces=faces,
        save=save,
        explain=explain,
        routing=routing,
        view=view,
        min_confidence=min_confidence,
        framework=framework_of(context),
        engine=engine,
    )
    raise typer.Exit(2 if bad else 0)


@app.command()
def batch(
    source: Annotated[
        str, typer.Argument(help="A folder, a glob, a list of paths, Parquet of pictures; or an address.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the answers, Parquet in parts.")],
    how: Annotated[str, typer.Option("--engine", help="local or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", help="Of a Ray cluster: ray://HOST:PORT.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Default: one a core.")] = None,
    size: Annotated[int, typer.Option("--part", min=1, help="Pictures of a part.")] = 1000,
    run: Annotated[str | None, RUN] = None,
    faces: Annotated[str, FACES] = "auto",
    nets: Annotated[
        str, typer.Option("--nets", help="What runs the nets: auto, onnx, onnx-int8 ...")
    ] = "auto",
) -> None:
    """Answer pictures by the million; killed anywhere, the same command goes on."""
    from hierarchy import runs
    from hierarchy.apps import fleet, parts

    job = parts.Job(run or runs.SHIPPED, faces, nets, str(out))
    done = fleet.batch(source, job, say, how=how, workers=workers, address=address, size=size)
    print(f"{out}: {done['pictures']:,} pictures, {done['faces']:,} faces, {done['errors']:,} errors")


@app.command()
def tune(
    context: typer.Context,
    node: Annotated[str, typer.Option("--node", help=f"One of {', '.join((*NODES, FLAT))}.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="That the study shall have.")] = 20,
    data: Annotated[str | None, DATA] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="Where the search starts.")] = "short",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, as in fit.epochs=4.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the study. Default: NODE-RECIPE.")] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="Journal file or sqlite:///FILE that processes share."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Look for better hyper-parameters of a node, by PublicTest."""
    from hierarchy.apps import tune as tuning

    folder = tuning.tune(
        node,
        trials,
        data=data,
        recipe=recipe,
        settings=settings or [],
        name=name,
        storage=storage,
        seed=seed,
        framework=framework_of(context),
        say=say,
    )
    print(f"{folder}; next: train --recipe {folder / 'recipe.json'}")


@app.command()
def video(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A video file, the number of a camera (0), or an address (rtsp://).")
    ],
    run: Annotated[str | None, RUN] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Video with the answers drawn on it: .mp4, .mkv or .webm."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Timeline, a row a face and frame; its picture is put beside it."),
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Look at every so manieth frame.")] = 1,
    faces: Annotated[str, FACES] = "auto",
    engine: Annotated[str, ENGINE] = "auto",
) -> None:
    """Follow the faces of a video or a camera, and say their expressions over time."""
    from hierarchy import runs
    from hierarchy.reports import video as watching

    watching.video(
        source,
        run or runs.SHIPPED,
        say,
        out=out,
        csv=csv,
        every=every,
        faces=faces,
        framework=framework_of(context),
        engine=engine,
    )


@app.command("app")
def web(
    run: Annotated[str | None, RUN] = None,
    engine: Annotated[str, ENGINE] = "auto",
    address: Annotated[str, typer.Option("--address", help="Of the interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8501,
) -> None:
    """Open a web page for pictures, videos and cameras."""
    from hierarchy import runs
    from hierarchy.apps import serve

    serve.serve(run or runs.SHIPPED, engine, address, port)


@detector_app.command("train")
def detector_train(
    data: Annotated[str | None, DATA] = None,
    backgrounds: Annotated[Path | None, BACKGROUNDS] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Half a minute each.")] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Fit a small net on faces against backgrounds, into results/detector/."""
    from hierarchy.reports import detection

    print(f"{detection.train(data, backgrounds, rounds, seed, say)}; next: detector score")


@detector_app.command("score")
def detector_score(
    data: Annotated[str | None, DATA] = None,
    backgrounds: Annotated[Path | None, BACKGROUNDS] = None,
    scenes: Annotated[int, typer.Option("--scenes", min=1)] = 400,
) -> None:
    """Count what it finds in composed scenes, beside YuNet and Haar, into results/detector/."""
    from hierarchy.reports import detection

    print(detection.report(data, backgrounds, scenes))


@data_app.command("get")
def data_get() -> None:
    """Download FER-2013 from Kaggle into data/ (no account needed)."""
    from hierarchy import runs
    from hierarchy.data import download

    print(download.get(runs.home() / "data"))


@data_app.command("check")
def data_check(
    data: Annotated[str | None, DATA] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file of all findings. Default: logs/data-check.csv.")
    ] = None,
) -> None:
    """Look for wrong counts, blanks, non-faces, copies and conflicts."""
    from hierarchy.data import audit, sources

    found = audit.audit(sources.labelled_faces(data))
    print(audit.as_table(found))
    print(f"every finding, a row each: {audit.write(found, out)}")


@data_app.command("export")
def data_export(
    layout: Annotated[str, typer.Option("--layout", help="Name of a layout; `list` shows them.")],
    target: Annotated[Path | None, typer.Argument(help="A new or empty folder.")] = None,
    data: Annotated[str | None, DATA] = None,
    ferplus: Annotated[
        Path | None, typer.Option("--ferplus", help="FER+'s fer2013new.csv, for the layout ferplus.")
    ] = None,
) -> None:
    """Write a data set in another layout."""
    from hierarchy.data import layouts, sources
    from hierarchy.errors import InputError

    if layout == "list":
        return print("\n".join(name for name, entry in layouts.LAYOUTS.items() if entry.write))
    if target is None:
        raise InputError("data export: name a new folder to write to")
    layouts.export(sources.labelled_faces(data), target, layout, ferplus)
    print(target)


def main(framework: "Framework | None" = None) -> int:
    """Run a command; the exit code is 0 when done, 2 for bad input, 130 for Ctrl-C, 1 for a fault of ours."""
    from hierarchy.errors import InputError

    # click's UsageError, which typer does not export
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a file's name may hold bytes that are no text, and letters that the terminal does not have
        utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    try:
        return app(args=sys.argv[1:] or ["--help"], standalone_mode=False, obj=framework) or 0
    except InputError as error:
        say(f"error: {error}")
        return 2
    except usage_error as error:
        say(f"error: {error.format_message()} (--help says what there is)")  # type: ignore[attr-defined]
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stdout = open(os.devnull, "w")  # what is left in the old one has no place
        say(f"error: the answers cannot be written ({error.strerror})")
        return 2


if __name__ == "__main__":
    sys.exit(main())
