"""Commands that install, start and talk to Label Studio."""

from pathlib import Path
from typing import Any

import click

from annotator.cli.root import SPLIT, Result, cli, printing


@cli.group()
def labelstudio() -> None:
    """Install, start and talk to Label Studio."""


@labelstudio.command("install")
@printing
def labelstudio_install(workspace: Path) -> Result:
    """Install the pinned Label Studio into an environment of its own."""
    from annotator.commands import labelstudio as commands

    return commands.install(workspace)


@labelstudio.command("start")
@click.option("--port", type=click.IntRange(1, 65535), help="Where it listens [8080].")
@printing
def labelstudio_start(workspace: Path, port: int | None) -> Result:
    """Start Label Studio on this machine: offline, on loopback, with a generated password."""
    from annotator.commands import labelstudio as commands

    return commands.start(workspace, port)


@labelstudio.command("stop")
@printing
def labelstudio_stop(workspace: Path) -> Result:
    """Stop the Label Studio of this workspace."""
    from annotator.commands import labelstudio as commands

    return commands.stop(workspace)


@labelstudio.command("connect")
@click.option("--backend-url", help="Where `annotator serve` listens [http://127.0.0.1:9090].")
@click.option("--no-backend", is_flag=True, help="Only the project; the ML backend is not running.")
@printing
def labelstudio_connect(workspace: Path, **options: Any) -> Result:
    """Make the project, its labelling page, its image store and its ML backend, or mend them."""
    from annotator.commands import labelstudio as commands

    return commands.connect(workspace, **options)


@labelstudio.command("push")
@SPLIT
@click.option("--backend", help="Only this backend's predictions.")
@printing
def labelstudio_push(workspace: Path, **options: Any) -> Result:
    """Send frames as tasks, and their predictions. Repeating it makes no doubles."""
    from annotator.commands import labelstudio as commands

    return commands.push(workspace, **options)


@labelstudio.command("pull")
@printing
def labelstudio_pull(workspace: Path) -> Result:
    """Fetch what was corrected, region by region against the prediction."""
    from annotator.commands import labelstudio as commands

    return commands.pull(workspace)


@labelstudio.command("status")
@printing
def labelstudio_status(workspace: Path) -> Result:
    """Say whether it runs, where, and what is in the project."""
    from annotator.commands import labelstudio as commands

    return commands.status(workspace)
