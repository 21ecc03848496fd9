"""Cine: every picture in order and with its own time, damage reported, and which pictures become frames."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.deidentify.pseudonyms import Pseudonyms
from annotator.errors import FrameError
from annotator.frames import Kind
from annotator.frames.choosing import Choice, Chooser, Keep
from annotator.frames.decoding import Decoder
from annotator.frames.reports import Decoded, Limits, SourceFacts

CODECS = {
    "mjpeg.avi": "mjpeg",
    "ffv1.avi": "ffv1",
    "mpeg4.avi": "mpeg4",
    "h264.mp4": "libx264",
    "h264.mov": "libx264",
}
Pictures = NDArray[np.uint8]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(Pseudonyms(bytes(32)), Limits(max_pixels=100_000, max_frames=60)) as opened:
        yield opened


def numbered(count: int = 30, size_wh: tuple[int, int] = (96, 64)) -> Pictures:
    """Pictures (N, H, W) that say their number in eight bright or dark bars."""
    bits = (np.arange(count)[:, None] >> np.arange(8)) & 1
    bars = np.repeat(np.where(bits, 200, 40).astype(np.uint8), size_wh[0] // 8, axis=1)
    return np.repeat(bars[:, None], size_wh[1], axis=1)


def number_of(pixels: NDArray[np.uint8]) -> int:
    gray = pixels if pixels.ndim == 2 else pixels[..., 1]
    bars = gray.reshape(gray.shape[0], 8, -1).mean((0, 2)) > 120
    return int((bars << np.arange(8)).sum())


def a_video(path: Path, pictures: Pictures, codec: str = "", steps: Sequence[int] = ()) -> Path:
    """Write pictures at 25 a second, or at times (in 1/25 s) of their own."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "MUSTERFRAU Erika"
        stream = container.add_stream(codec or CODECS[path.name], rate=25)
        stream.width, stream.height = pictures.shape[2], pictures.shape[1]
        stream.pix_fmt = "gray" if codec == "ffv1" or path.name.startswith("ffv1") else "yuv420p"
        if path.name.startswith("mjpeg"):
            stream.pix_fmt = "yuvj420p"
        for number, gray in enumerate(pictures):
            picture = av.VideoFrame.from_ndarray(np.repeat(gray[..., None], 3, axis=2), format="rgb24")
            picture.pts, picture.time_base = (steps[number] if steps else number), Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def read(decoder: Decoder, path: Path) -> tuple[SourceFacts, list[Decoded]]:
    facts, *frames = decoder.read(path, Kind.VIDEO)
    assert isinstance(facts, SourceFacts)
    return facts, [frame for frame in frames if isinstance(frame, Decoded)]


@pytest.mark.parametrize("name", CODECS)
def test_every_picture_comes_once_in_order_with_its_time(name: str, decoder: Decoder, tmp_path: Path) -> None:
    facts, frames = read(decoder, a_video(tmp_path / name, numbered()))
    assert [number_of(frame.pixels) for frame in frames] == [frame.number for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx(list(np.arange(30) / 25))
    assert facts.name == name
    assert facts.group is not None


def test_pixels_are_those_that_another_reader_sees(decoder: Decoder, tmp_path: Path) -> None:
    path = a_video(tmp_path / "ffv1.avi", numbered(5))
    capture = cv2.VideoCapture(str(path))
    for frame in read(decoder, path)[1]:
        _, other = capture.read()
        np.testing.assert_array_equal(frame.pixels, other[..., 0])


def test_a_variable_rate_is_told_by_each_picture_itself(decoder: Decoder, tmp_path: Path) -> None:
    steps = [0, 1, 5, 6, 20]
    _, frames = read(decoder, a_video(tmp_path / "h264.mp4", numbered(5), steps=steps))
    assert [frame.time_s for frame in frames] == pytest.approx([step / 25 for step in steps])


def test_equal_content_is_one_cine_whatever_it_is_called(decoder: Decoder, tmp_path: Path) -> None:
    one = a_video(tmp_path / "mjpeg.avi", numbered(3))
    (tmp_path / "copy.avi").write_bytes(one.read_bytes())
    other = a_video(tmp_path / "ffv1.avi", numbered(3))
    groups = [read(decoder, path)[0].group for path in (one, tmp_path / "copy.avi", other)]
    assert groups[0] == groups[1] != groups[2]


def cut(path: Path, keep: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


def flipped(path: Path) -> Path:
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(0)
    for place in rng.integers(len(content) // 4, 3 * len(content) // 4, 60):
        content[place] ^= 0x5A
    path.write_bytes(bytes(content))
    return path


def noise(size_wh: tuple[int, int] = (96, 64), count: int = 30) -> Pictures:
    return np.random.default_rng(0).integers(0, 256, (count, size_wh[1], size_wh[0]), dtype=np.uint8)


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def a_playlist(folder: Path) -> Path:
    """What opens another file, or an address, in many readers."""
    other = a_video(folder / "mjpeg.avi", numbered(3))
    (folder / "a.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
    return folder / "a.mp4"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (written("a.avi", b""), "not a video"),
    "a text": (written("a.mp4", b"gone fishing"), "not a video"),
    "a concatenation": (written("a.avi", b"ffconcat version 1.0\nfile /etc/hostname\n"), "not a video"),
    "a playlist": (a_playlist, "not a video"),
    "MP4 without its index": (lambda folder: cut(a_video(folder / "h264.mp4", noise()), 0.6), "not a video"),
    "damaged H.264": (lambda folder: flipped(a_video(folder / "h264.mp4", noise())), "damaged after"),
    "damaged MJPEG": (lambda folder: flipped(a_video(folder / "mjpeg.avi", noise())), "damaged after"),
    "too many pictures": (lambda folder: a_video(folder / "mjpeg.avi", numbered(70)), "more than 60 frames"),
    "too large": (lambda folder: a_video(folder / "mjpeg.avi", noise((640, 480), 2)), "pixels are more than"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_video_is_one_line(case: str, decoder: Decoder, tmp_path: Path) -> None:
    make, says = BAD[case]
    with pytest.raises(FrameError) as error:
        read(decoder, make(tmp_path))
    assert says in error.value.reason
    assert "\n" not in str(error.value)


def test_an_avi_without_its_index_is_read_all_the_same(decoder: Decoder, tmp_path: Path) -> None:
    path = a_video(tmp_path / "mjpeg.avi", numbered())
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"idx1")])
    assert [number_of(frame.pixels) for frame in read(decoder, path)[1]] == list(range(30))


# Choosing


def chosen(pictures: Pictures, choice: Choice, times: Sequence[float | None] | None = None) -> list[int]:
    chooser = Chooser(choice)
    times = times if times is not None else [number / 25 for number in range(len(pictures))]
    return [
        number for number, picture in enumerate(pictures) if chooser.wants(Decoded(number, times[number], picture))
    ]


def test_all_are_kept_unless_asked_otherwise() -> None:
    assert chosen(numbered(), Choice()) == list(range(30))


@pytest.mark.parametrize(
    ("rate", "kept"),
    [(25, list(range(30))), (5, [0, 5, 10, 15, 20, 25]), (1, [0, 25]), (100, list(range(30))), (0.1, [0])],
)
def test_a_rate_thins_by_time(rate: float, kept: list[int]) -> None:
    assert chosen(numbered(), Choice(per_second=rate)) == kept


def test_a_rate_goes_by_the_time_of_a_picture_not_by_its_number() -> None:
    assert chosen(numbered(5), Choice(per_second=1), [0.0, 0.1, 1.5, 1.6, 4.0]) == [0, 2, 4]


def test_without_times_a_rate_cannot_thin() -> None:
    assert chosen(numbered(5), Choice(per_second=1), [None] * 5) == list(range(5))


def two_scenes() -> Pictures:
    """Ten noisy pictures of one view, ten of another."""
    rng = np.random.default_rng(3)
    views = [cv2.resize(rng.integers(0, 200, (6, 8), dtype=np.uint8), (96, 64)) for _ in range(2)]
    return np.stack([view + rng.integers(0, 12, view.shape, dtype=np.uint8) for view in views for _ in range(10)])


@pytest.mark.parametrize("keep", [Keep.DISTINCT, Keep.SCENES])
def test_of_pictures_that_show_the_same_one_is_kept(keep: Keep) -> None:
    assert chosen(two_scenes(), Choice(keep)) == [0, 10]


def test_a_slow_change_is_no_cut_but_gives_distinct_pictures() -> None:
    rng = np.random.default_rng(4)
    wide = cv2.resize(rng.integers(0, 200, (6, 40), dtype=np.uint8), (480, 64))
    moving = np.stack([wide[:, step : step + 96] for step in range(60)])
    assert chosen(moving, Choice(Keep.SCENES)) == [0]
    assert 3 < len(chosen(moving, Choice(Keep.DISTINCT))) < 40
