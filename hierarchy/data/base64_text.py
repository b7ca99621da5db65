"""Bytes of base64 text and of data URIs, told from paths."""

import base64
import os
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from hierarchy.errors import InputError

_TEXT: Final = re.compile(r"[A-Za-z0-9+/_\s-]{64,}={0,2}\s*")  # shorter text is a path


def decode(text: str) -> bytes | None:
    """The bytes of base64 text or of a data URI, data:[type][;base64],content; None for any other text.

    Base64 is in the standard alphabet or that of URLs, padded or not; a file of that name goes first.

    Raises:
        InputError: it starts as a data URI, but is none, or its base64 is damaged.
    """
    if text[:5].lower() != "data:":
        return _base64(text) if _TEXT.fullmatch(text) and not os.path.exists(text) else None
    kind, comma, content = text.partition(",")
    if not comma:
        raise InputError("damaged data URI: expected data:image/...;base64,...")
    data = unquote_to_bytes(content)
    return _base64(data.decode("latin-1")) if kind.lower().endswith(";base64") else data


def _base64(text: str) -> bytes:
    plain = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError as error:
        raise InputError(f"neither a file nor base64 ({error})") from None
