"""The decoding process: reads what `decoding` asks for on one pipe and answers on another, file after file.

Decoders of damaged files crash, hang and eat memory; here they may, since only this process dies. It has a limit on
memory, leaves no core dump (which would hold a patient's header), and neither prints nor logs.
"""

import json
import logging
import os
import resource
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from annotator.deidentify.pseudonyms import Pseudonyms
from annotator.frames.finding import Kind
from annotator.frames.reports import DecodingError, Limits


def serve(requests: Connection, answers: Connection) -> None:
    """Answer until the other end closes: `facts`, then a `frame` with its bytes for each picture, then `end`."""
    while True:
        try:
            request = json.loads(requests.recv_bytes())
        except EOFError:
            return
        try:
            for header, content in _answers(request):
                answers.send_bytes(json.dumps(header).encode())
                if content is not None:
                    answers.send_bytes(content)
        except DecodingError as error:
            _tell(answers, str(error))
        except MemoryError:
            _tell(answers, "needs more memory than is allowed for one file")
        except OSError as error:
            _tell(answers, f"cannot be read: {os.strerror(error.errno) if error.errno else 'damaged'}")
        except Exception as error:  # whatever a decoder raises: its message may quote the header, its name does not
            _tell(answers, f"damaged or unreadable ({type(error).__name__})")


def _tell(answers: Connection, reason: str) -> None:
    answers.send_bytes(json.dumps({"error": reason}).encode())


def _answers(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], memoryview | None]]:
    source = _opened(request)
    yield {"facts": asdict(source.facts)}, None
    count = 0
    for decoded in source.frames():
        count += 1
        pixels = np.ascontiguousarray(decoded.pixels)
        header = {"number": decoded.number, "time_s": decoded.time_s, "shape": pixels.shape}
        yield {"frame": header}, pixels.data.cast("B")
    yield {"end": count}, None


def _opened(request: dict[str, Any]) -> Any:
    path, limits = Path(request["path"]), Limits(**request["limits"])
    pseudonyms = Pseudonyms(bytes.fromhex(request["key"]), request["site"])
    if request["kind"] == Kind.DICOM:
        from annotator.frames.dicom import DicomFile

        return DicomFile(path, pseudonyms, limits)
    from annotator.frames.cine import CineFile

    return CineFile(path, pseudonyms, limits)


def main() -> None:
    """Run with the two pipes' descriptors and the memory limit in bytes as arguments."""
    requests, answers, memory = (int(word) for word in sys.argv[1:4])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable()
    warnings.simplefilter("ignore")
    serve(Connection(requests, writable=False), Connection(answers, readable=False))


if __name__ == "__main__":
    main()
