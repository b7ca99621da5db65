"""From the body of a request to images: multipart, raw bytes, base64 in JSON. Addresses are not fetched."""

import asyncio
import base64
import re
import string
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from hierarchy.apps.rest.schemas import NAME, Image, Images
from hierarchy.errors import InputError

COMMAS: Final = NAME + 3  # of an image in JSON at most: in its name, in its data URI, around its two values
DRAINED: Final = 4  # times the largest body are read, so that the client can read why it was refused
_DATA_URI: Final = re.compile(r"data:[\w.+/-]*(;[\w=.-]+)*;base64,", re.ASCII)
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class Refusal(InputError):
    """A request, or one of its images, that is refused with an HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Upload(NamedTuple):
    """An image of a request: its name, and its bytes or why there are none."""

    name: str
    data: bytes | Refusal


async def uploads(request: Request, max_bytes: int, max_images: int, seconds: float) -> list[Upload]:
    """The images of a request.

    Raises:
        Refusal: the body is too large or too slow, is not what its type says, or holds too many images.
    """
    body = await _body(request, max_bytes, seconds)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = await _of_form(request, body, max_images)
    elif kind.endswith(("/json", "+json")):
        found = await asyncio.to_thread(_of_json, body, max_images)
    else:
        found = [Upload("image", body)]
    _check_count(len(found), max_images)
    if not found:
        raise Refusal(422, "no image in the request; expected a file in each field of the form")
    return found


def _check_count(images: int, most: int) -> None:
    if images > most:
        raise Refusal(413, f"{images} images; expected at most {most} in a request")


async def _body(request: Request, most: int, seconds: float) -> bytes:
    """The whole body; of one that is too large, some more is read and dropped."""
    chunks, size = [], 0
    declared = request.headers.get("content-length", "0")
    too_large = int(declared) > most
    try:
        async with asyncio.timeout(seconds):
            if not (too_large and "expect" in request.headers):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= most and not too_large:
                        chunks.append(chunk)
                    elif size > DRAINED * most:
                        break
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {seconds:g} s") from None
    if too_large or size > most:
        raise Refusal(413, f"body of more than {most:,} bytes")
    return b"".join(chunks)


async def _of_form(request: Request, body: bytes, max_images: int) -> list[Upload]:
    async def stream() -> AsyncGenerator[bytes]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=max_images, max_fields=max_images)
    parser.spool_max_size = len(body) + 1  # uploads stay in memory, never on a disk
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError) as error:
        reason = "no boundary" if isinstance(error, KeyError) else str(error)
        raise Refusal(413 if "Too many" in reason else 400, f"multipart form: {reason}") from None
    try:
        return [
            Upload(value.filename or field, await value.read())
            if isinstance(value, UploadFile)
            else Upload(field, Refusal(422, "expected a file, not text"))
            for field, value in form.multi_items()
        ]
    finally:
        await form.close()


def _of_json(body: bytes, max_images: int) -> list[Upload]:
    if body.count(b",") > COMMAS * max_images:  # bounds the values that parsing makes
        raise Refusal(413, f"JSON body: expected at most {max_images} images, and names of {NAME} characters")
    try:
        entries = msgspec.json.decode(body, type=Images).images
    except msgspec.ValidationError as error:
        raise Refusal(422, f"JSON body: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"JSON body: {error}") from None
    _check_count(len(entries), max_images)
    return [_entry(number, entry) for number, entry in enumerate(entries)]


def _entry(number: int, entry: msgspec.Raw) -> Upload:
    try:
        image = msgspec.json.decode(entry, type=Image)
    except (ValueError, RecursionError) as error:
        return Upload(f"images[{number}]", Refusal(422, str(error)))
    try:
        return Upload(image.name, _decoded(image.image))
    except Refusal as refusal:
        return Upload(image.name, refusal)


def _decoded(text: str) -> bytes:
    if _ADDRESS.match(text):
        raise Refusal(422, "addresses are not fetched; send the bytes of the image in base64")
    prefix = _DATA_URI.match(text)
    try:
        data = text[prefix.end() if prefix else 0 :].encode("ascii")
        return base64.b64decode(data.translate(None, string.whitespace.encode()), validate=True)
    except ValueError:
        raise Refusal(422, "expected base64, or a data URI with base64") from None
