"""How long the embedded model takes for a frame: everything, one at a time and in a batch, on two threads.

python benchmarks/embedded_speed.py
"""

import statistics
import time

from annotator.frames import FrameFacts, make_frame
from annotator.phantom import simulate_set
from annotator.schema import LoadedFrame
from backends.opening import BackendChoice, open_backend

FRAMES = 24


def main() -> None:
    """Print the median, the worst and the mean over simulated frames."""
    loaded = [
        LoadedFrame(make_frame(phantom.pixels, f"{number}.png", FrameFacts(simulated=True)), phantom.pixels)
        for number, phantom in enumerate(simulate_set(FRAMES, seed=0))
    ]
    model = open_backend(BackendChoice(), threads=2)
    model.predict(loaded[:2])
    singles = []
    for one in loaded:
        begun = time.perf_counter()
        model.predict([one])
        singles.append((time.perf_counter() - begun) * 1e3)
    begun = time.perf_counter()
    model.predict(loaded)
    batch_ms = (time.perf_counter() - begun) * 1e3 / FRAMES
    median = statistics.median(singles)
    print(
        f"one by one: median {median:.0f} ms, slowest {max(singles):.0f} ms; in a batch {batch_ms:.0f} ms a frame"
    )


if __name__ == "__main__":
    main()
