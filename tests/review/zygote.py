"""Starts real servers quickly, by forking itself once everything is imported: a port on stdin, a process id back.

`python -m tests.review.zygote WORKSPACE`
"""

import os
import signal
import sys
from pathlib import Path

import uvicorn

from annotator.store import Store
from review.mounting import create_review_app


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _tell("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            app = create_review_app(Store(Path(sys.argv[1])), with_page=False)
            uvicorn.run(app, host="127.0.0.1", port=int(line), log_level="critical", access_log=False)
            os._exit(0)
        _tell(str(pid))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
