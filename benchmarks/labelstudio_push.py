"""1,000 frames and their predictions into a real Label Studio, pushed twice; then 1,000 corrections back.

python benchmarks/labelstudio_push.py     (after `annotator labelstudio install`)
"""

import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from annotator.labelstudio import process
from annotator.labelstudio.connect import connect, open_client
from annotator.labelstudio.pull import pull
from annotator.labelstudio.push import push
from annotator.schema import Ellipse, Finding, Frame, Prediction
from annotator.settings import read_settings
from annotator.store import Store

FRAMES = 1000


def fill(store: Store) -> None:
    """Frames with an ellipse, four boxes and a plane each."""
    frames = [
        Frame(frame_id=f"{number:032x}", width=800, height=540, source_file=f"{number}.png")
        for number in range(FRAMES)
    ]
    head = Finding(
        structure="Brain",
        box_xyxy=(200.0, 120.0, 600.0, 420.0),
        ellipse=Ellipse(cx=400, cy=270, rx=200, ry=150),
        score=0.9,
    )
    boxes = [
        Finding(structure=name, box_xyxy=(50.0 + 90 * place, 40.0, 120.0 + 90 * place, 90.0), score=0.8)
        for place, name in enumerate(("NT", "nasal_bone", "nasal_skin", "nasal_tip"))
    ]
    store.add_frames(frames)
    with store.writing() as connection:
        store.add_predictions(
            connection,
            [
                Prediction(
                    frame_id=frame.frame_id,
                    model_version="benchmark-1",
                    findings=tuple(
                        one.model_copy(update={"finding_id": f"{frame.frame_id}-{n}"})
                        for n, one in enumerate((head, *boxes))
                    ),
                    plane="Trans-thalamic",
                    plane_score=0.9,
                )
                for frame in frames
            ],
        )


def timed(what: str, call: Callable[[], object]) -> None:
    """Run and print seconds."""
    begun = time.perf_counter()
    outcome = call()
    print(f"{what:34} {time.perf_counter() - begun:6.1f} s   {outcome}")


def main() -> None:
    """Print how long each step takes."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        workspace = Path(folder)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        timed(
            "first start of Label Studio",
            lambda: process.start(workspace, read_settings().labelstudio_env, port).url,
        )
        store = Store(workspace)
        try:
            fill(store)
            with open_client(workspace) as client:
                timed("connect", lambda: connect(store, client).changes)
                timed(f"push of {FRAMES}", lambda: push(store, client).predictions_on_server)
                timed("push again", lambda: push(store, client).predictions_on_server)
                rows = client.predictions(1)
                body = [
                    {"task": row["task"], "result": row["result"], "parent_prediction": row["id"]} for row in rows
                ]
                for row in body:
                    client.create_annotation(row.pop("task"), row)
                timed(f"pull of {FRAMES}", lambda: pull(store, client).corrections_new)
                timed("pull again", lambda: pull(store, client).corrections_new)
        finally:
            store.close()
            process.stop(workspace)


if __name__ == "__main__":
    main()
