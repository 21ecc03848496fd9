"""Images as they come: what can be read is, what cannot gets one clear line, and nobody's name stays."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from annotator.errors import FrameError, InputError
from annotator.frames import (
    FrameFacts,
    find_images,
    frame_id_of,
    load_frame,
    make_frame,
    read_pixels,
    save_pixels,
    subject_from_name,
)
from annotator.schema import Frame
from tests.builders import some_pixels

MAX_PIXELS = 1_000_000


def read(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    return read_pixels(path, max_pixels=max_pixels)


def saved(folder: Path, pixels: NDArray[np.generic] | Image.Image, name: str, **options: object) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(folder / name, **options)  # type: ignore[arg-type]
    return folder / name


def encoded(pixels: NDArray[np.uint8], image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises much and whose data hold little."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\x00" * 1000)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


# What can be read


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.PNG", {}),
        ("a.tif", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("b.tiff", {"compression": "tiff_deflate"}),
        ("c.tiff", {"compression": "packbits"}),
        ("interlace.png", {"optimize": True}),
    ],
)
def test_gray_pixels_come_back_as_they_are(name: str, options: dict[str, object], tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(saved(tmp_path, some_pixels(), name, **options)), some_pixels())


def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path: Path) -> None:
    path = saved(tmp_path, some_pixels(), "a.jpg", quality=95)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read(path), np.asarray(image))


def test_real_colour_stays_colour(tmp_path: Path) -> None:
    pixels = some_pixels(colour=True)
    np.testing.assert_array_equal(read(saved(tmp_path, pixels, "doppler.png")), pixels)


def test_the_same_content_has_one_frame_id_whatever_file_it_comes_in(tmp_path: Path) -> None:
    gray = some_pixels()
    rgb = np.repeat(gray[..., None], 3, axis=2)
    opaque = np.dstack([rgb, np.full(gray.shape, 255, np.uint8)])
    paths = [
        saved(tmp_path, gray, "gray.png"),
        saved(tmp_path, gray, "gray.tif"),
        saved(tmp_path, rgb, "rgb.png"),
        saved(tmp_path, rgb, "rgb.tif", compression="tiff_lzw"),
        saved(tmp_path, opaque, "rgba.png"),
        saved(tmp_path, Image.fromarray(gray).convert("P"), "palette.png"),
        saved(tmp_path, np.dstack([gray, opaque[..., 3]]), "gray-and-alpha.png"),
    ]
    assert {frame_id_of(read(path)) for path in paths} == {frame_id_of(gray)}


@pytest.mark.parametrize("used_bits", [9, 10, 12, 14, 16])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_images_keep_their_highest_eight_used_bits(used_bits: int, name: str, tmp_path: Path) -> None:
    values = np.linspace(0, 2**used_bits - 1, 24 * 32).round().astype(np.uint16).reshape(24, 32)
    pixels = read(saved(tmp_path, values, name))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, values >> (used_bits - 8))
    assert pixels.max() == 255


def test_sixteen_bit_files_with_eight_bit_values_are_not_darkened(tmp_path: Path) -> None:
    values = some_pixels().astype(np.uint16)
    np.testing.assert_array_equal(read(saved(tmp_path, values, "a.png")), some_pixels())


def test_a_black_sixteen_bit_image_is_black(tmp_path: Path) -> None:
    assert not read(saved(tmp_path, np.zeros((24, 32), np.uint16), "a.png")).any()


def test_thirty_two_bit_images_are_read_and_negative_values_are_black(tmp_path: Path) -> None:
    values = np.linspace(-500, 4095, 24 * 32).astype(np.int32).reshape(24, 32)
    pixels = read(saved(tmp_path, values, "a.tif"))
    assert pixels.max() == 255
    assert not pixels[values < 0].any()


def test_a_cmyk_jpeg_becomes_what_it_looks_like(tmp_path: Path) -> None:
    rgb = np.zeros((24, 32, 3), np.uint8)
    rgb[:, 16:] = 200
    pixels = read(saved(tmp_path, Image.fromarray(rgb).convert("CMYK"), "a.jpg", quality=100))
    assert pixels.shape[:2] == (24, 32)
    assert pixels[:, :12].mean() < 10
    assert abs(pixels[:, 20:].mean() - 200) < 10


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF"])
def test_turned_images_are_set_upright(orientation: int, image_format: str, tmp_path: Path) -> None:
    upright = np.zeros((24, 40), np.uint8)
    upright[:8, :8] = 255  # the corner that a phone's camera calls top left
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    path = tmp_path / "turned"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, image_format, exif=exif)
    pixels = read(path)
    assert pixels.shape == (24, 40)
    assert pixels[:6, :6].mean() > 240
    assert pixels[12:, 12:].mean() < 10


def test_a_turned_sixteen_bit_image_is_set_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.zeros((40, 24), np.uint16)
    values[:4] = 4095
    path = saved(tmp_path, values, "a.png", exif=exif)
    assert read(path).shape == (24, 40)


def test_transparent_pixels_are_black_as_on_the_screen(tmp_path: Path) -> None:
    rgba = np.full((24, 32, 4), 200, np.uint8)
    rgba[..., 3] = 255
    rgba[:, :16, 3] = 0
    pixels = read(saved(tmp_path, rgba, "a.png"))
    assert not pixels[:, :16].any()
    assert (pixels[:, 16:] == 200).all()


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_colour_declared_transparent_is_black(mode: str, tmp_path: Path) -> None:
    gray = np.full((24, 32), 200, np.uint8)
    gray[:, :16] = 90
    image = Image.fromarray(gray).convert(mode)
    transparent: object = (90, 90, 90) if mode == "RGB" else 90
    pixels = read(saved(tmp_path, image, "a.png", transparency=transparent))
    assert not pixels[:, :16].any()
    assert (pixels[:, 16:] == 200).all()


def test_black_and_white_images_are_0_and_255(tmp_path: Path) -> None:
    bits = some_pixels() > 127
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read(saved(tmp_path, Image.fromarray(bits), name)), bits * np.uint8(255))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF"])
def test_the_content_counts_and_not_the_ending(image_format: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(some_pixels(), image_format))
    assert read(path).shape == (24, 32)


def test_an_image_of_just_the_allowed_size_is_read(tmp_path: Path) -> None:
    assert read(saved(tmp_path, some_pixels(), "a.png"), max_pixels=32 * 24).shape == (24, 32)
    assert read(saved(tmp_path, some_pixels(size_wh=(16, 16)), "b.png")).shape == (16, 16)


# What cannot


def animated(image_format: str) -> bytes:
    buffer = io.BytesIO()
    first, *others = [Image.fromarray(some_pixels(seed)) for seed in range(3)]
    first.save(buffer, image_format, save_all=True, append_images=others)
    return buffer.getvalue()


def float_tiff() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(some_pixels().astype(np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


PNG, JPEG, TIFF = (encoded(some_pixels(), name) for name in ("PNG", "JPEG", "TIFF"))
LZW = encoded(some_pixels(), "TIFF", compression="tiff_lzw")

HOSTILE: list[tuple[str, Callable[[], bytes], str]] = [
    ("nothing.png", lambda: b"", "empty"),
    ("letter.png", lambda: b"Dear colleague,", "not a PNG, JPEG or TIFF"),
    ("page.png", lambda: b"<html><body>404</body></html>", "not a PNG, JPEG or TIFF"),
    ("zeros.png", lambda: bytes(5000), "not a PNG, JPEG or TIFF"),
    ("signature.png", lambda: PNG[:8], "not a PNG, JPEG or TIFF|damaged"),
    ("header.png", lambda: PNG[:33], "not a PNG, JPEG or TIFF|damaged"),
    ("half.png", lambda: PNG[: len(PNG) // 2], "damaged"),
    ("tail.png", lambda: PNG[:-40], "damaged"),
    ("flipped.png", lambda: PNG[:60] + bytes([PNG[60] ^ 0xFF]) + PNG[61:], "damaged"),
    ("half.jpg", lambda: JPEG[: len(JPEG) // 2], "damaged"),
    ("start.jpg", lambda: JPEG[:4], "not a PNG, JPEG or TIFF|damaged"),
    ("half.tif", lambda: TIFF[: len(TIFF) // 2], "not a PNG, JPEG or TIFF|damaged"),
    ("half-lzw.tif", lambda: LZW[: len(LZW) // 2], "not a PNG, JPEG or TIFF|damaged"),
    ("start.tif", lambda: TIFF[:10], "not a PNG, JPEG or TIFF|damaged"),
    ("dot.png", lambda: encoded(some_pixels(size_wh=(1, 1))), "too small"),
    ("line.png", lambda: encoded(some_pixels(size_wh=(500, 1))), "too small"),
    ("cine.png", lambda: animated("PNG"), "holds 3 images"),
    ("cine.tif", lambda: animated("TIFF"), "holds 3 images"),
    ("gif.png", lambda: animated("GIF"), "not a PNG, JPEG or TIFF"),
    ("bitmap.png", lambda: encoded(some_pixels(), "BMP"), "not a PNG, JPEG or TIFF"),
    ("web.png", lambda: encoded(some_pixels(), "WEBP"), "not a PNG, JPEG or TIFF"),
    ("float.tif", float_tiff, "floating-point"),
    ("large.png", lambda: encoded(np.zeros((1001, 1000), np.uint8)), "more than the 1,000,000 allowed"),
    ("bomb.png", lambda: png_of_size(60_000, 60_000), "too large|more than"),
    ("bomb2.png", lambda: png_of_size(2**31 - 1, 2**31 - 1), "too large|more than"),
    ("promise.png", lambda: png_of_size(900, 900), "damaged"),
    ("flat.png", lambda: png_of_size(0, 900), "too small|damaged|not a PNG"),
]


@pytest.mark.parametrize(("name", "content", "says"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_what_cannot_be_used_gets_one_clear_line(
    name: str, content: Callable[[], bytes], says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content())
    with pytest.raises(FrameError, match=says) as error:
        read(tmp_path / name)
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)
    assert error.value.source_file == name


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([PNG, JPEG, TIFF, LZW, animated("PNG"), encoded(some_pixels(colour=True), "JPEG")]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6),
    st.none() | st.integers(0, 10**6),
)
def test_a_damaged_file_is_read_or_refused_but_never_crashes(
    tmp_path: Path, content: bytes, changes: list[tuple[int, int]], cut: int | None
) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    path = tmp_path / "a.png"
    path.write_bytes(bytes(damaged[: cut % len(damaged)] if cut is not None else damaged))
    try:
        pixels = read(path)
    except FrameError as error:
        said = str(error)
    else:
        said = ""
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 2 or pixels.shape[2] == 3
    assert "\n" not in said


def test_a_file_that_is_gone_or_is_a_folder_gets_one_clear_line(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.png", tmp_path):
        with pytest.raises(FrameError, match="damaged or unreadable"):
            read(path)


# Finding them


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_images_of_a_folder_are_found_in_order_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.tiff", "sub/d.jpeg", "notes.txt", "e.gif", "annotations.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(find_images([tmp_path])) == ["a.JPG", "b.png", "c.tiff", "d.jpeg"]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    for name in (".hidden.png", "._a.png", ".cache/b.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(find_images([tmp_path])) == ["c.png"]


def test_a_hidden_folder_that_is_named_is_searched(tmp_path: Path) -> None:
    (tmp_path / ".frames").mkdir()
    (tmp_path / ".frames" / "a.png").write_bytes(b"x")
    assert names(find_images([tmp_path / ".frames"])) == ["a.png"]


def test_a_file_named_twice_is_found_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    assert find_images([tmp_path / "a.png", tmp_path, tmp_path / "a.png"]) == [tmp_path / "a.png"]


def test_unicode_and_very_long_names_are_kept(tmp_path: Path) -> None:
    wanted = sorted([f"{'ü' * 120}.png", "胎児 頭部.png", "a" * 251 + ".png", "emoji 👨‍👩‍👧.png", "می‌خواهم.png"])
    for name in wanted:
        saved(tmp_path, some_pixels(), name)
    found = find_images([tmp_path])
    assert sorted(names(found)) == wanted
    assert {make_frame(read(path), path.name, FrameFacts()).source_file for path in found} == set(wanted)


def test_a_name_that_is_no_text_is_made_readable(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).write_bytes(PNG)
    (found,) = find_images([tmp_path])
    frame = make_frame(read(found), found.name, FrameFacts())
    assert Frame.model_validate_json(frame.model_dump_json()) == frame
    assert frame.source_file == "caf\\udce9.png"
    Path(os.fsdecode(path)).write_bytes(b"")
    with pytest.raises(FrameError) as error:
        read(found)
    str(error.value).encode()


def test_a_name_of_two_lines_stays_on_one(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[31m.png"
    path.write_bytes(b"")
    with pytest.raises(FrameError) as error:
        read(path)
    assert str(error.value) == r"two\nlines\x1b[31m.png: the file is empty"
    assert make_frame(some_pixels(), path.name, FrameFacts()).source_file == r"two\nlines\x1b[31m.png"


def test_links_that_go_round_in_a_circle_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    saved(tmp_path / "sub", some_pixels(), "a.png")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    assert names(find_images([tmp_path])) == ["a.png"]


def folder_without_images(folder: Path) -> Path:
    (folder / "notes.txt").write_text("x")
    return folder


def named_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.png")
    return folder / "pipe.png"


def loop(folder: Path) -> Path:
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return folder / "loop.png"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (folder_without_images, "no PNG, JPEG or TIFF image in"),
        (lambda folder: folder / "nowhere", "does not exist"),
        (lambda folder: folder / ("x" * 300), "cannot be read: File name too long"),
        (lambda folder: folder / "a\x00b.png", "does not exist"),
        (loop, "does not exist"),
        (named_pipe, "neither a file nor a folder"),
        (lambda _: Path("/dev/zero"), "neither a file nor a folder"),
    ],
)
def test_a_path_that_holds_no_image_is_one_clear_line(
    make: Callable[[Path], Path], says: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=says) as error:
        find_images([make(tmp_path)])
    assert "\n" not in str(error.value)


# Nobody's name

PATIENT = b"MUSTERFRAU^ERIKA"


def png_with_text() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Patient", PATIENT.decode())
    notes.add_itxt("Comment", PATIENT.decode())
    notes.add_text("Zipped", PATIENT.decode(), zip=True)
    exif = Image.Exif()
    exif[0x010E] = PATIENT.decode()
    return encoded(some_pixels(), "PNG", pnginfo=notes, exif=exif, icc_profile=PATIENT * 20)


def jpeg_with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = PATIENT.decode()
    return encoded(some_pixels(), "JPEG", exif=exif, comment=PATIENT, icc_profile=PATIENT * 20)


def tiff_with_tags() -> bytes:
    return encoded(some_pixels(), "TIFF", description=PATIENT.decode(), artist=PATIENT.decode())


@pytest.mark.parametrize("make", [png_with_text, jpeg_with_exif, tiff_with_tags])
def test_what_a_file_says_of_its_patient_is_not_in_the_stored_one(
    make: Callable[[], bytes], tmp_path: Path
) -> None:
    (tmp_path / "came").write_bytes(make())
    assert PATIENT in make()
    save_pixels(read(tmp_path / "came"), tmp_path / "stored.png")
    content = (tmp_path / "stored.png").read_bytes()
    assert PATIENT not in content
    with Image.open(tmp_path / "stored.png") as image:
        image.load()
        assert not image.info
        assert not image.getexif()
    kinds, place = [], 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kinds.append(content[place + 4 : place + 8])
        place += length + 12
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def test_only_the_last_part_of_a_name_is_kept() -> None:
    frame = make_frame(some_pixels(), "/archive/Musterfrau Erika/img1.png", FrameFacts())
    assert "Musterfrau" not in frame.model_dump_json()
    assert frame.source_file == "img1.png"


# Storing and loading


@pytest.mark.parametrize("colour", [False, True])
def test_a_stored_frame_is_loaded_as_it_was(colour: bool, tmp_path: Path) -> None:
    pixels = some_pixels(colour=colour)
    frame = make_frame(pixels, "a.png", FrameFacts(subject="1"))
    save_pixels(pixels, tmp_path / "aa" / "stored.png")
    loaded = load_frame(frame, tmp_path / "aa" / "stored.png")
    np.testing.assert_array_equal(loaded.pixels, pixels)
    assert (loaded.frame, loaded.pixels.dtype) == (frame, np.uint8)


def test_storing_twice_keeps_the_file_and_leaves_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "stored.png"
    save_pixels(some_pixels(), path)
    before = path.stat()
    save_pixels(some_pixels(), path)
    assert path.stat().st_ino == before.st_ino
    assert list(tmp_path.iterdir()) == [path]


def one_pixel_changed(path: Path) -> None:
    pixels = some_pixels().copy()
    pixels[3, 3] ^= 1
    path.write_bytes(encoded(pixels))


ALTERED: dict[str, Callable[[Path], object]] = {
    "one pixel changed": one_pixel_changed,
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "another format": lambda path: path.write_bytes(encoded(some_pixels(), "TIFF")),
    "another size": lambda path: path.write_bytes(encoded(some_pixels(size_wh=(24, 32)))),
    "colour for gray": lambda path: path.write_bytes(encoded(np.repeat(some_pixels()[..., None], 3, axis=2))),
    "black and white": lambda path: Image.fromarray(some_pixels() > 127).save(path, "PNG"),
    "a bomb": lambda path: path.write_bytes(png_of_size(60_000, 60_000)),
    "a smaller bomb": lambda path: path.write_bytes(png_of_size(12_000, 12_000)),
    "a text": lambda path: path.write_text("gone fishing"),
}


@pytest.mark.parametrize("how", ALTERED)
@pytest.mark.filterwarnings("error")
def test_a_stored_file_that_was_altered_is_noticed(how: str, tmp_path: Path) -> None:
    frame = make_frame(some_pixels(), "HC_017.png", FrameFacts())
    path = tmp_path / "stored.png"
    save_pixels(some_pixels(), path)
    ALTERED[how](path)
    with pytest.raises(FrameError, match=r"^HC_017.png: the stored image") as error:
        load_frame(frame, path)
    assert "\n" not in str(error.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(PNG) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_any_damage_to_a_stored_file_is_noticed_or_harmless(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(PNG)
    for place, value in changes:
        damaged[place] = value
    (tmp_path / "stored.png").write_bytes(bytes(damaged))
    frame = make_frame(some_pixels(), "a.png", FrameFacts())
    try:
        loaded = load_frame(frame, tmp_path / "stored.png")
    except FrameError:
        return
    np.testing.assert_array_equal(loaded.pixels, some_pixels())


def test_a_frame_id_depends_on_content_shape_and_kind() -> None:
    gray = some_pixels()
    ids = {
        frame_id_of(gray), frame_id_of(gray.T), frame_id_of(gray.reshape(-1, 16)), frame_id_of(gray[::-1]),
        frame_id_of(np.repeat(gray[..., None], 3, axis=2)),
    }  # fmt: skip
    assert len(ids) == 5
    assert frame_id_of(np.asfortranarray(gray)) == frame_id_of(gray)
    assert all(len(one) == 32 for one in ids)


# Subjects


@pytest.mark.parametrize(
    ("name", "pattern", "subject"),
    [
        ("017_HC.png", r"^([0-9]+)", "017"),
        ("Patient00188_Plane3_1_of_3.png", r"Patient\d+", "Patient00188"),
        ("img.png", r"^([0-9]+)", None),
        ("a_b.png", r"(x)?a", None),
        ("x.png", r"", ""),
    ],
)
def test_subjects_are_taken_from_names(name: str, pattern: str, subject: str | None) -> None:
    assert subject_from_name(name, pattern) == subject


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<x"])
def test_a_bad_pattern_is_one_clear_line(pattern: str) -> None:
    with pytest.raises(InputError, match="is no regular expression"):
        subject_from_name("a.png", pattern)
