"""`app`: start the web page on this machine."""

from typing import Annotated

import typer

from hierarchy.cli.options import ENGINE, RUN


def app(
    run: Annotated[str | None, RUN] = None,
    engine: Annotated[str, ENGINE] = "auto",
    address: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name that browsers may ask for, such as a proxy's; repeatable.")
    ] = None,
) -> None:
    """Serve a web page for images, videos and cameras."""
    from hierarchy import runs
    from hierarchy.apps.web import server

    server.serve(run or runs.DEFAULT_RUN, engine, address, port, allow_host or ())
