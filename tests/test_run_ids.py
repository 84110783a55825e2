"""Frozen run ids of catalogued data: whoever moves code must not lose the runs that people have stored."""

from __future__ import annotations

import json
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "run_ids.json"
GRID = json.loads(GOLDEN.read_text(encoding="utf-8"))
