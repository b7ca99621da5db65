"""Text that is not ours (names, errors) for Streamlit, which takes all text as Markdown."""

import re

from hierarchy.errors import printable


def plain(text: object) -> str:
    """Markdown that shows a text as it is: a code span, in which neither images, links nor HTML exist.

    Control characters are escaped, breaks of lines become a space.
    """
    line = printable(" ".join(str(text).split()))
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}"
