"""`export`: convert a run's nets to ONNX, LiteRT or OpenVINO."""

from typing import Annotated

import typer

from hierarchy.cli.options import DATA, RUN, show


def export(
    run: Annotated[str | None, RUN] = None,
    kind: Annotated[str, typer.Option("--format", help="onnx, litert or openvino.")] = "onnx",
    precision: Annotated[
        str, typer.Option(help="Of the stored weights: float32, float16 or int8.")
    ] = "float32",
    data: Annotated[str | None, DATA] = None,
) -> None:
    """Export a run's nets to files that run without Keras."""
    from hierarchy import runs
    from hierarchy.evaluation.evaluate import faces_for
    from hierarchy.models.export import export as export_nets

    chosen = runs.run(run or runs.DEFAULT_RUN)
    for line in export_nets(chosen, kind, precision, lambda: faces_for(chosen.manifest(), data)):
        show(line)
