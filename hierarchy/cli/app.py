"""`app`: start the web page on this machine."""

from typing import Annotated

import typer

from hierarchy.cli.options import ENGINE, RUN


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("app")(web)


def web(
    run: Annotated[str | None, RUN] = None,
    engine: Annotated[str, ENGINE] = "auto",
    address: Annotated[str, typer.Option("--address", help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8501,
) -> None:
    """Open a web page for images, videos and cameras."""
    from hierarchy import runs
    from hierarchy.apps.web import server

    server.serve(run or runs.DEFAULT_RUN, engine, address, port)
