"""Commands about the teachers that FADA is distilled from."""

from pathlib import Path
from typing import Any

import click

from annotator.cli.root import SPLIT, Result, cli, printing


@cli.group("teachers")
def teachers_group() -> None:
    """The vision encoders that FADA learns from."""


@teachers_group.command("list")
@printing
def list_teachers_command(workspace: Path) -> Result:
    """Tell of each teacher where its weights are to be had, under which licence, and what is taken from it."""
    from annotator.commands.teaching import list_teachers

    return list_teachers(workspace)


@teachers_group.command("cache")
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    required=True,
    metavar="NAME=FILE",
    help="A teacher and its published checkpoint; repeat it.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The cache [workspace/teachers/features.h5].")
@SPLIT
@click.option("--device", default="cpu", show_default=True)
@printing
def cache_teachers_command(workspace: Path, **options: Any) -> Result:
    """Compute the teachers' features of every frame once. A killed run goes on where it was."""
    from annotator.commands.teaching import cache_teachers

    return cache_teachers(workspace, **options)
