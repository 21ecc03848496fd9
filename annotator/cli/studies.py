"""Commands for reader studies."""

import sys
from pathlib import Path
from typing import Any

import click

from annotator.cli.exports import export
from annotator.cli.root import SPLIT, Result, cli, printing

ROLES = ("reader", "adjudicator", "curator", "administrator")
PASSWORD_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@cli.group()
def study() -> None:
    """Reader studies: prepare, watch and report them."""


@study.command("create")
@click.argument("name")
@SPLIT
@click.option(
    "--frames", type=click.Path(path_type=Path, dir_okay=False), help="Text file: a frame id or file name a line."
)
@click.option("--limit", type=click.IntRange(min=1), help="At most this many frames, drawn by the seed.")
@click.option("--version", "versions", multiple=True, help="Model version whose outputs are graded; repeat it.")
@click.option("--backend", "backends", multiple=True, help="The same, by backend: its newest version.")
@click.option("--reader", "readers", multiple=True, help="Login of a reader; repeat it.")
@click.option(
    "--mode", "arm", type=click.Choice(["autonomous", "guided", "both"]), default="autonomous", show_default=True
)
@click.option("--title", default="", help="What readers see instead of the name.")
@click.option("--seed", default=0, show_default=True)
@click.option("--repeats", type=click.FloatRange(0, 0.5), default=0.1, show_default=True, help="Hidden repeats.")
@click.option("--washout-days", type=click.FloatRange(min=0), default=14.0, show_default=True)
@click.option("--session-cases", type=click.IntRange(min=1), help="Cases before a reader must pause.")
@click.option("--session-minutes", type=click.FloatRange(min=1), help="Minutes before a reader must pause.")
@click.option("--add-cases", is_flag=True, help="Add frames or readers to a study; its plan so far stays.")
@printing
def study_create(workspace: Path, **options: Any) -> Result:
    """Make a study: its plan is drawn and stored, its size and power are told."""
    from annotator.commands import studies

    return studies.create(workspace, **options)


@study.command("account")
@click.argument("login")
@click.option("--role", type=click.Choice(ROLES), default="reader", show_default=True)
@click.option("--close", is_flag=True, help="Close the account: it cannot log in any more.")
@PASSWORD_STDIN
@printing
def study_account(workspace: Path, login: str, role: str, *, close: bool, password_stdin: bool) -> Result:
    """Make an account, or give one a new role and password. A generated password is printed once."""
    from annotator.commands import studies

    return studies.account(workspace, login, role, _password(password_stdin), is_active=not close)


@study.command("status")
@click.argument("name", required=False)
@printing
def study_status(workspace: Path, name: str | None) -> Result:
    """Say how far each reader is, without telling grades."""
    from annotator.commands import studies

    return studies.status(workspace, name)


@study.command("report")
@click.argument("name", required=False)
@click.option(
    "--scores", type=click.Path(path_type=Path, dir_okay=False), help="A CSV in long form instead of a study."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Where it goes [workspace/exports/reports]."
)
@printing
def study_report(workspace: Path, **options: Any) -> Result:
    """Write the report of a study, or of anybody's table of scores."""
    from annotator.commands import studies

    return studies.report(workspace, **options)


@study.command("withdraw")
@click.argument("name")
@click.argument("version")
@printing
def study_withdraw(workspace: Path, name: str, version: str) -> Result:
    """Take a model version out of the cases that are still open."""
    from annotator.commands import studies

    return studies.withdraw(workspace, name, version)


@study.command("unblind")
@click.argument("name")
@click.option("--as", "administrator", required=True, help="Login of an administrator; it asks for the password.")
@PASSWORD_STDIN
@printing
def study_unblind(workspace: Path, name: str, administrator: str, *, password_stdin: bool) -> Result:
    """Tell which version sits behind which letter. It is noted in the audit chain who asked."""
    from annotator.commands import studies

    password = _password(password_stdin) or click.prompt("Password", hide_input=True, err=True)
    return studies.unblind(workspace, name, administrator, password)


@export.command("scores")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--study", "name", help="Only this study.")
@printing
def export_scores_command(workspace: Path, out: Path, name: str | None) -> Result:
    """Write all grades in long form, with codebook and plan."""
    from annotator.commands import studies

    return studies.export_scores(workspace, out, name)


def _password(from_stdin: bool) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else None
