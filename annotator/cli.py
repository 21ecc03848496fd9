"""The command line: the composition root. Each command imports what it needs when called, so help is instant."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from annotator import __version__
from annotator.errors import AnnotatorError

DISCLAIMER = "Research software, not for clinical use."


class Result(NamedTuple):
    """What a command found: the JSON document, and the same in words."""

    document: dict[str, Any]
    text: str
    exit_code: int = 0


def printing(command: Callable[..., Result]) -> Callable[..., None]:
    """Give a command `--json` and print its Result: one JSON document or words on stdout, nothing else."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.pass_context
    def run(context: click.Context, /, as_json: bool, **options: Any) -> None:
        result = command(context.find_root().params["workspace"], **options)
        click.echo(json.dumps(result.document, indent=2, default=str) if as_json else result.text)
        context.exit(result.exit_code)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = [*getattr(run, "__click_params__", []), *getattr(command, "__click_params__", [])]  # type: ignore[attr-defined]
    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="annotator")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("workspace"),
    envvar="ANNOTATOR_WORKSPACE",
    show_default=True,
    help="Folder that holds everything.",
)
def cli(workspace: Path) -> None:
    """Pre-annotate fetal ultrasound frames, correct them in Label Studio, export to COCO.

    Research software, not for clinical use.
    """


SPLIT = click.option("--split", help="Only frames of this split.")
BACKEND = click.option("--backend", default="embedded", show_default=True, help="The model to ask.")
PATHS = click.argument("paths", nargs=-1, type=click.Path(path_type=Path))


@cli.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", default="", help="Name of the data set.")
@click.option("--site", help="Hospital or centre, by a name that may be shown.")
@click.option("--subject-from", metavar="REGEX", help="Take the subject's pseudonym from the file name.")
@click.option("--pixel-size-mm", type=click.FloatRange(min=0, min_open=True), help="Size of a pixel.")
@click.option(
    "--coco", "coco_file", type=click.Path(path_type=Path), help="COCO file with sizes, subjects, splits."
)
@click.option("--as-truth", is_flag=True, help="Take the COCO file's annotations as the reference standard.")
@printing
def import_command(workspace: Path, **options: Any) -> Result:
    """Read images (PNG, JPEG, TIFF; files or folders) into the workspace."""
    from annotator.commands.importing import import_images

    return import_images(workspace, **options)


@cli.command()
@BACKEND
@click.option("--limit", type=click.IntRange(min=1), help="At most this many frames.")
@SPLIT
@click.option("--redo", is_flag=True, help="Ask again where a prediction is there already.")
@printing
def preannotate(workspace: Path, **options: Any) -> Result:
    """Run frames through a model. A killed run goes on where it was."""
    from annotator.commands.models import preannotate_frames

    return preannotate_frames(workspace, **options)


@cli.command()
@BACKEND
@click.option("--against", type=click.Choice(["truth", "corrected"]), default="truth", show_default=True)
@SPLIT
@printing
def evaluate(workspace: Path, **options: Any) -> Result:
    """Score a model against a reference, with intervals; frames it has not seen are run first."""
    from annotator.commands.models import evaluate_backend

    return evaluate_backend(workspace, **options)


@cli.group()
def train() -> None:
    """Train a model."""


@train.command("embedded")
@click.option(
    "--data",
    "data_dir",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with hc18/, fetus_nt/ and brain_planes/, each with its COCO annotations.json.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where the weights go [workspace/models/embedded].")
@click.option("--seed", default=0, show_default=True)
@printing
def train_embedded_command(workspace: Path, **options: Any) -> Result:
    """Train the small networks that ship with the tool. A killed training goes on where it was."""
    from annotator.commands.models import train_embedded_networks

    return train_embedded_networks(workspace, **options)


@cli.group()
def export() -> None:
    """Write data sets."""


@export.command("coco")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--which", type=click.Choice(["corrected", "predicted", "truth"]), default="corrected", show_default=True
)
@SPLIT
@click.option("--backend", help="With --which predicted: only this backend's.")
@printing
def export_coco_command(workspace: Path, **options: Any) -> Result:
    """Write OUT/annotations.json and OUT/images/."""
    from annotator.commands.exporting import export_as_coco

    return export_as_coco(workspace, **options)


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


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), help="Where it listens [9090].")
@BACKEND
def serve(host: str, port: int | None, backend: str) -> None:
    """Serve the ML backend for Label Studio, and /status."""
    from annotator.commands.serving import serve_backend

    serve_backend(click.get_current_context().find_root().params["workspace"], host, port, backend)


@cli.command()
@PATHS
@click.option("--no-browser", is_flag=True, help="Do not open the browser.")
@click.option("--check", is_flag=True, help="Run one whole loop by itself, print what it did, stop all, exit.")
@printing
def demo(workspace: Path, **options: Any) -> Result:
    """Run everything on this machine, on simulated frames or on your own."""
    from annotator.commands.demo import run_demo

    return run_demo(workspace, **options)


@cli.command()
@printing
def status(workspace: Path) -> Result:
    """Count what is in the workspace and say how its jobs stand."""
    from annotator.commands.inspecting import show_status

    return show_status(workspace)


@cli.command()
@printing
def verify(workspace: Path) -> Result:
    """Check the audit chain, every row and every image."""
    from annotator.commands.inspecting import verify_workspace

    return verify_workspace(workspace)


@cli.command()
@printing
def doctor(workspace: Path) -> Result:
    """Say what is missing on this machine, and the command that mends it."""
    from annotator.commands.inspecting import examine_machine

    return examine_machine(workspace)


def main(arguments: list[str] | None = None) -> None:
    """Run the program: exit 0 done, 1 a clear one-line error, 2 usage."""
    try:
        # Without its standalone mode click returns the exit code, and leaves errors to us.
        sys.exit(cli.main(args=arguments, prog_name="annotator", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted; run the same command again to go on", 130)
    except AnnotatorError as error:
        _fail(" ".join(str(error).split()), 1)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)


def _fail(message: str, exit_code: int) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
