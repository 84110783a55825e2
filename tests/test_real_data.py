"""Tests on real data skip with the reason where this clone cannot have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import real_data


def test_without_mirror_file_and_network_the_reason_names_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_DATA_MIRROR", raising=False)
    monkeypatch.setattr(real_data, "BESIDE", tmp_path / "nothing.xz")
    with pytest.raises(pytest.skip.Exception, match=r"needs the real MovieLens 100K: .*network is switched off.*bench"):
        real_data.fetched(tmp_path)
