"""`runs`: what is in results/."""

import typer

runs = typer.Typer(help="Show the runs in results/.")


@runs.command("list")
def list_runs() -> None:
    """Print the name of every run, one per line."""
    from hierarchy import runs

    print(*runs.names(), sep="\n")
