"""`batch`: predict large collections of images, on local processes or a Ray cluster."""

from pathlib import Path
from typing import Annotated

import typer

from hierarchy.cli.options import DETECTOR, ENGINE, MIN_PIXELS, ROTATE, RUN, show
from hierarchy.vision.detectors import STILL, Searching


def batch(
    source: Annotated[
        str, typer.Argument(help="Folder, glob, list of paths, Parquet of images; local path or URL.")
    ],
    out: Annotated[Path, typer.Option(help="Output folder; Parquet, one file per chunk.")],
    executor: Annotated[str, typer.Option(help="local or ray.")] = "local",
    address: Annotated[str | None, typer.Option(help="Ray cluster: ray://HOST:PORT.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=10_000, help="Default: one per core.")] = None,
    chunk_size: Annotated[int, typer.Option(min=1, help="Images per chunk.")] = 1000,
    run: Annotated[str | None, RUN] = None,
    detector: Annotated[str, DETECTOR] = "auto",
    engine: Annotated[str, ENGINE] = "auto",
    min_face: Annotated[int, MIN_PIXELS] = STILL.min_face,
    rotate: Annotated[str, ROTATE] = STILL.rotate,
) -> None:
    """Predict millions of images; after an interruption, the same command resumes."""
    from hierarchy import runs
    from hierarchy.errors import require

    require("fsspec")
    from hierarchy.apps.batch import local
    from hierarchy.apps.batch.job import Job

    job = Job(run or runs.DEFAULT_RUN, detector, engine, str(out), Searching(min_face, rotate))
    total = local.batch(source, job, executor=executor, workers=workers, address=address, size=chunk_size)
    show(f"{out}: {total['pictures']:,} images, {total['faces']:,} faces, {total['errors']:,} errors")
