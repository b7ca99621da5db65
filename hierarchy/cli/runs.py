"""`runs`: what is in results/."""

import typer

group = typer.Typer(help="Show the runs in results/.", rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="runs")


@group.callback()
def _several() -> None:
    """Show the runs in results/."""


@group.command("list")
def list_runs() -> None:
    """Print the name of every run, one per line."""
    from hierarchy import runs

    print("\n".join(runs.names()))
