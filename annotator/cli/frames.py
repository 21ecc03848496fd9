"""Commands that take frames in and ask models about them."""

from pathlib import Path
from typing import Any

import click

from annotator.cli.root import SPLIT, Result, asks_a_model, cli, printing


@cli.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", default="", help="Name of the data set.")
@click.option("--site", help="Hospital or centre, by a name that may be shown.")
@click.option(
    "--subject-from", metavar="REGEX", help="Take the subject from the file name; its keyed hash is the pseudonym."
)
@click.option("--pixel-size-mm", type=click.FloatRange(min=0, min_open=True), help="Size of a pixel.")
@click.option(
    "--coco", "coco_file", type=click.Path(path_type=Path), help="COCO file with sizes, subjects, splits."
)
@click.option("--as-truth", is_flag=True, help="Take the COCO file's annotations as the reference standard.")
@click.option(
    "--deidentify",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Find and mask burned-in text; auto leaves out stills that a COCO file describes.",
)
@click.option("--keep-text", is_flag=True, help="Show burned-in text on the second-look sheet, but do not mask it.")
@click.option("--accept-unsure", is_flag=True, help="Take frames too where it is unsure what is text.")
@click.option(
    "--keep",
    type=click.Choice(["all", "distinct", "scenes"]),
    default="all",
    show_default=True,
    help="Pictures of a cine to take: all, those that differ, or one a scene.",
)
@click.option(
    "--frames-per-second", type=click.FloatRange(min=0, min_open=True), help="At most so many pictures of a cine."
)
@printing
def import_command(
    workspace: Path,
    deidentify: str,
    keep_text: bool,
    accept_unsure: bool,
    keep: str,
    frames_per_second: float | None,
    **options: Any,
) -> Result:
    """Read stills (PNG, JPEG, TIFF), DICOM files and videos (AVI, MP4; files or folders) into the workspace.

    Burned-in text is masked and shown on a second-look sheet in the workspace's frames/second_look. Of a DICOM
    header only what is on an allow list is read; subjects become keyed hashes.
    """
    from annotator.commands.importing import import_images
    from annotator.commands.intake import Deidentify, Rules
    from annotator.frames.choosing import Choice, Keep

    choice = Choice(Keep(keep), frames_per_second)
    rules = Rules(Deidentify(deidentify), keep_text, accept_unsure, choice)
    return import_images(workspace, **options, rules=rules)


@cli.command()
@asks_a_model
@click.option("--limit", type=click.IntRange(min=1), help="At most this many frames.")
@SPLIT
@click.option("--redo", is_flag=True, help="Ask again where a prediction is there already.")
@printing
def preannotate(workspace: Path, **options: Any) -> Result:
    """Run frames through a model. A killed run goes on where it was."""
    from annotator.commands.models import preannotate_frames

    return preannotate_frames(workspace, **options)
