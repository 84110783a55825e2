"""Pictures of docs/: a table in a terminal and the notebook, from what they really show, by headless Chromium.

    PYTHONPATH=. python experiments/screenshots.py terminal docs/terminal.png
    jupyter nbconvert --execute --to html examples/first-look.ipynb --output-dir /tmp
    PYTHONPATH=. python experiments/screenshots.py notebook docs/notebook.png /tmp/first-look.html

nbconvert and ipykernel are no dependencies of the project: install them into an environment of their own, from which
the project can be imported.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import tempfile
from io import BytesIO, StringIO
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from tests.browser import chromium

COMMAND = "bench compare uniform popularity inbatch --loss softmax --seeds 5"
COLUMNS = 86


def typed(command: str) -> str:
    """What the command prints on a terminal, with its colours."""
    said: list[bytes] = []

    def read(descriptor: int) -> bytes:
        said.append(os.read(descriptor, 1 << 16))
        return said[-1]

    os.environ |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    pty.spawn([sys.executable, "-m", *command.split()], read)
    return b"".join(said).decode().replace("\r\n", "\n")


def terminal(out: Path) -> None:
    """The table, drawn by rich as a terminal has it."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {COMMAND}\n{typed(COMMAND)}"), soft_wrap=False)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "terminal.html"
        drawn = re.sub(r"@font-face {.*?}", "", console.export_svg(title="bench"), flags=re.S)  # fetched from afar
        page.write_text(f"<!doctype html><meta charset=utf-8><body style='margin: 0'>{drawn}", encoding="utf-8")
        picture(page, out, "svg", None, 1000)


def picture(page: Path, out: Path, first: str, before: str | None, width: int) -> None:
    """A page from its element `first` to where `before` stands, as a PNG of few colours."""
    with chromium() as browser, browser.new_page(viewport={"width": width, "height": 800}) as tab:
        tab.goto(page.resolve().as_uri())
        tab.wait_for_timeout(1000)  # figures and fonts
        box = tab.locator(first).first.bounding_box()
        if before is not None:
            box["height"] = tab.get_by_text(before).first.bounding_box()["y"] - box["y"] - 10
        shown = Image.open(BytesIO(tab.screenshot(clip=box, full_page=True)))
    shown.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    kind, file, *rest = sys.argv[1:]
    if kind == "terminal":
        terminal(Path(file))
    else:
        picture(Path(rest[0]), Path(file), "body", "For a paper;", 1000)
