"""The root command, and what every command shares: `--json`, the options that recur, how errors are told."""

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
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
PATHS = click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
MODEL_OPTIONS = (
    click.option(
        "--backend",
        default="embedded",
        show_default=True,
        help="Who is asked: embedded, fada, remote or recorded.",
    ),
    click.option("--model", help="Hub id or folder of the base model; for remote, its name on the server."),
    click.option("--adapter", help="LoRA adapter: hub id or folder."),
    click.option("--url", help="OpenAI-compatible server, such as http://127.0.0.1:8080/v1."),
    click.option("--answers", type=click.Path(path_type=Path), help="Recorded answers to replay."),
    click.option("--profile", type=click.Path(path_type=Path), help="Another prompt profile (TOML)."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 or mps."),
    click.option("--precision", type=click.Choice(["auto", "bf16", "fp16", "fp32"]), default="auto"),
    click.option("--4bit", "four_bit", is_flag=True, help="4-bit weights (CUDA only)."),
    click.option("--keypoints", is_flag=True, help="Ask for keypoints too."),
    click.option("--allow-upload", is_flag=True, help="Frames may leave this machine for --url."),
)


def asks_a_model(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose a model; they arrive together as `choice`."""
    for option in reversed(MODEL_OPTIONS):
        command = option(command)
    chosen = {item.name for item in command.__click_params__[-len(MODEL_OPTIONS) :]}  # type: ignore[attr-defined]

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        choice = {name: options.pop(name) for name in list(options) if name in chosen}
        return command(*arguments, choice=choice, **options)

    return run


def main(arguments: list[str] | None = None) -> None:
    """Run the program: exit 0 done, 1 a clear one-line error, 2 usage."""
    # Threads within one small product wait for each other; set before numpy is imported, which reads it once.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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
