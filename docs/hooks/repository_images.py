"""MkDocs hook: publish images of results/ and samples/, which are outside docs_dir.

Pages link to them as ../results/NAME.png, which works where the Markdown files themselves are shown.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

LINK = re.compile(r"(!\[[^\]]*\]\()\.\./((?:results|samples)/[^)\s]+\.png\))")
FOLDERS = ("results", "results/fer2013", "samples/shown")


def on_files(files: Files, config: Any) -> Files:
    """Add the images to the files of the site."""
    root = Path(config.config_file_path).parent
    for folder in FOLDERS:
        for image in sorted((root / folder).glob("*.png")):
            files.append(File.generated(config, f"{folder}/{image.name}", abs_src_path=str(image)))
    return files


@event_priority(-100)  # after include-markdown
def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to these images start at docs_dir."""
    return LINK.sub(r"\1\2", markdown)
