"""How fast is the next case of the review panel, with ten readers at work on 5,000 cases?

`python -m benchmarks.review_load [--readers 10] [--cases 5000] [--seconds 60] [--pause 4.0] [--page]`

The server is a process of its own, the readers are another; both share this machine's cores. Each reader asks for
the state, the next case and its frame, then sends six grades (three slots, two dimensions) at once, over and over,
with about four seconds between cases, a pace that no sonographer keeps up. `next case` is state + case + frame,
until the last byte; the page asks for it before it is wanted, so a reader waits less.
"""

import argparse
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from annotator.frames import FrameFacts, make_frame, save_pixels
from annotator.geometry import ellipse_to_box_xyxy, ellipse_to_mask, mask_to_rle
from annotator.schema import Ellipse, Finding, Frame, Interpretation, ModelVersion, Prediction
from annotator.store import Store
from annotator.store.studies import Studies
from annotator.studies import Role
from review.accounts import Accounts
from review.setup import StudyWish, create_study

SIZE_WH = (320, 240)
VERSIONS = ("first", "second", "third")
PASSWORD = "benchmark only"
DONE_BEFORE = 0.4
SERVER = """
import sys
from pathlib import Path
import uvicorn
from annotator.store import Store
from review.mounting import create_review_app
app = create_review_app(Store(Path(sys.argv[1])), with_page=sys.argv[3] == "page")
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
"""


def build(workspace: Path, cases: int, readers: int) -> None:
    """Make noise frames of about 70 kB, predictions with text and outlines, and a study half-way through."""
    store = Store(workspace)
    frames = [_frame(store, number) for number in range(cases)]
    for start in range(0, cases, 500):
        store.add_frames(frames[start : start + 500])
    for version in VERSIONS:
        store.add_model_version(ModelVersion(name=version, backend=version, base="none", content_hash="0" * 64))
        for start in range(0, cases, 1000):
            with store.writing() as connection:
                store.add_predictions(
                    connection, [_prediction(one, version) for one in frames[start : start + 1000]]
                )
    logins = [f"reader{number}" for number in range(readers)]
    accounts = Accounts(store)
    for login in logins:
        accounts.put(login, Role.READER, PASSWORD)
    ids = tuple(frame.frame_id for frame in frames)
    study = create_study(store, StudyWish("load", versions=VERSIONS, readers=logins, frame_ids=ids, washout_days=0))
    with Studies(store).writing() as rows:
        for case in rows.presentations(study.study_id):
            if case.sequence < DONE_BEFORE * cases:
                rows.finish(case.token, time.time() - 86_400)
    store.close()


def _frame(store: Store, number: int) -> Frame:
    pixels = np.random.default_rng(number).integers(0, 256, SIZE_WH[::-1], dtype=np.uint8)
    frame = make_frame(pixels, f"{number}.png", FrameFacts(subject=str(number // 3)))
    save_pixels(pixels, store.image_path(frame.frame_id))
    return frame


def _prediction(frame: Frame, version: str) -> Prediction:
    ellipse = Ellipse(cx=160, cy=120, rx=100, ry=75, angle_deg=len(version) * 7)
    box, rle = ellipse_to_box_xyxy(ellipse), mask_to_rle(ellipse_to_mask(ellipse, SIZE_WH))
    findings = (
        Finding(structure="Brain", box_xyxy=box, mask_rle=rle),
        *(Finding(structure=name, box_xyxy=(90.0, 90.0, 130.0, 120.0)) for name in ("CSP", "LV")),
    )
    text = Interpretation(
        **dict.fromkeys(Interpretation.model_fields, "Some forty words of text in each field. " * 4)
    )
    return Prediction(
        frame_id=frame.frame_id,
        model_version=version,
        findings=findings,
        plane="Trans-thalamic",
        interpretation=text,
    )


def read(address: str, readers: int, seconds: float, pause: float, results: Any) -> None:
    """Work as all readers at once; put the seconds of every next case and grade into `results`."""
    lines: list[tuple[str, float]] = []
    logged_in = threading.Barrier(readers)
    threads = [
        threading.Thread(target=_one_reader, args=(address, f"reader{number}", seconds, pause, lines, logged_in))
        for number in range(readers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(lines)


def _one_reader(
    address: str,
    login: str,
    seconds: float,
    pause: float,
    lines: list[tuple[str, float]],
    logged_in: threading.Barrier,
) -> None:
    chance = random.Random(login)
    with httpx.Client(base_url=address, headers={"x-annotator": "1"}, timeout=60) as client:
        client.post("/login", data={"login": login, "password": PASSWORD})
        logged_in.wait()
        deadline = time.monotonic() + seconds
        time.sleep(chance.uniform(0, 2 * pause))  # readers are not in step with each other
        while time.monotonic() < deadline:
            begun = time.perf_counter()
            study = client.get("/review/api/state").json()["studies"][0]["study"]
            document = client.get("/review/api/case", params={"study": study}).json()
            client.get(document["frame"]["url"]).raise_for_status()
            lines.append(("next case", time.perf_counter() - begun))
            for slot in document["slots"]:
                for dimension in document["dimensions"]:
                    body = {"case": document["case"], "slot": slot["slot"], "dimension": dimension, "grade": 1}
                    begun = time.perf_counter()
                    client.post(
                        "/review/api/grade", json={**body, "client_id": uuid.uuid4().hex}
                    ).raise_for_status()
                    lines.append(("grade", time.perf_counter() - begun))
            time.sleep(chance.uniform(0.5, 1.5) * pause)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(workspace: Path, options: argparse.Namespace) -> None:
    """Start the server, let the readers work, print what it took."""
    port = 18_080 + os.getpid() % 10_000
    page = "page" if options.page else "none"
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(workspace), str(port), page])
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(f"{address}/login")
            break
        except httpx.TransportError:
            time.sleep(0.1)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    load = context.Process(target=read, args=(address, options.readers, options.seconds, options.pause, results))
    load.start()
    lines = results.get()
    load.join()
    print(
        f"{options.readers} readers, {options.cases} cases, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    for kind in ("next case", "grade"):
        times = sorted(1000 * seconds for name, seconds in lines if name == kind)
        p95 = times[int(0.95 * len(times))]
        print(f"{kind:10} n={len(times):6}  p50 {statistics.median(times):7.1f} ms  p95 {p95:7.1f} ms")
    print(f"server {resident_mb(server.pid):.0f} MB resident{' with its page' if options.page else ''}")
    server.kill()
    server.wait()


def main() -> None:
    """Parse options, build or reuse a workspace, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=4.0)
    parser.add_argument("--page", action="store_true", help="load Gradio too")
    parser.add_argument("--workspace", type=Path, help="keep it here, or use the one that is here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = options.workspace or Path(folder) / "workspace"
        if not (workspace / "annotator.db").exists():
            build(workspace, options.cases, options.readers)
        measure(workspace, options)


if __name__ == "__main__":
    main()
