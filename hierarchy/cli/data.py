"""`data`: commands that download, audit and convert data sets."""

from pathlib import Path
from typing import Annotated

import typer

from hierarchy.cli.options import DATA, check_output, not_overwritten, show

data = typer.Typer(help="Download, audit and convert data sets of faces.")


@data.command("get")
def get() -> None:
    """Download FER-2013 from Kaggle into data/ (no account needed)."""
    from hierarchy import runs
    from hierarchy.data import download

    show(download.get(runs.home() / "data"))


@data.command("audit")
def audit(
    data: Annotated[str | None, DATA] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file of all findings. Default: logs/data-audit.csv.")
    ] = None,
) -> None:
    """Find wrong counts, blank images, non-faces, duplicates and conflicting labels."""
    from hierarchy.data import audit, loading
    from hierarchy.data.dataset import SKETCH
    from hierarchy.data.formats import registry

    check_output("--out", out, (".csv",))
    if out and data != SKETCH and (source := registry.find(data)):
        files = [source, *source.rglob("*")] if source.is_dir() else [source]
        list(not_overwritten(files, "--out", out))
    result = audit.audit(loading.labelled_faces(data))
    show(audit.as_table(result))
    show(f"all findings, one per row: {audit.write(result, out)}")


@data.command("export")
def export(
    layout: Annotated[str, typer.Option(help="Name of a format; `list` shows them.")],
    target: Annotated[Path | None, typer.Argument(help="A new or empty folder.")] = None,
    data: Annotated[str | None, DATA] = None,
    ferplus: Annotated[
        Path | None, typer.Option(help="FER+'s fer2013new.csv, for the format ferplus.")
    ] = None,
) -> None:
    """Write a data set in another format."""
    from hierarchy.data import loading
    from hierarchy.data.formats import registry
    from hierarchy.errors import InputError

    if layout == "list":
        return print(*registry.DATA_FORMATS, sep="\n")
    if target is None:
        raise InputError("data export: name a new folder to write to")
    registry.export(loading.labelled_faces(data), target, layout, ferplus)
    show(target)
