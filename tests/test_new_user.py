"""The path of a new user, from the clone to the reference in a paper: what each step prints, writes and shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.browser import Opened, chromium, needed
from tests.conftest import write_ratings
from tests.real_data import ROOT

SHORT = "--seeds 2 --set epochs=2"
ROW = re.compile(r"^(\S+) +(0\.\d{4})  ", re.M)


class Desk:
    """A clone of what is committed here, with an environment that has what is installed here, and a shell in it."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        others = ("BENCH_RESULTS", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of a make that runs this test
        self.env = {name: value for name, value in env.items() if name not in others}
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        bin = folder / ".venv" / "bin"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bin.parent)], check=True)
        packages = Path(sysconfig.get_path("purelib", vars=dict.fromkeys(("base", "platbase"), str(bin.parent))))
        for one in Path(sysconfig.get_path("purelib")).iterdir():
            if one.suffix != ".pth":  # which may lead to this checkout
                (packages / one.name).symlink_to(one)
        (packages / "contrarec.pth").write_text(f"{folder}\n", encoding="utf-8")
        lines = f"#!{bin / 'python'}\nfrom bench.__main__ import main\n\nif __name__ == '__main__':\n    main()\n"
        (bin / "bench").write_text(lines, encoding="utf-8")
        (bin / "bench").chmod(0o755)
        (bin.parent / "installed").touch()  # what `make install` leaves

    def type(self, line: str) -> tuple[str, str]:
        """What a line prints, and what it says beside it."""
        done = subprocess.run(
            shlex.split(line), cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.mark.slow
@needed
@pytest.mark.timeout(900)  # of a busy machine; a minute otherwise
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone of which there could be another")
def test_a_new_user_comes_from_the_clone_to_the_reference(tmp_path: Path, ml_100k: dict[str, str]) -> None:
    desk = Desk(tmp_path / "contrarec", ml_100k | {"COLUMNS": "100", "OMP_NUM_THREADS": "1"})
    head = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    assert head.strip() in desk.type(".venv/bin/bench --version")[0]

    # The main table, and what it proposes next, which is all there already.
    table, said = desk.type('make bench SEEDS=2 ARGS="--set epochs=2"')
    assert table.startswith("ml-100k · NDCG@10 · mf, 16 negatives · 943 users × 2 seeds\n")
    assert "18 of 18 runs to do" in said
    shown = ROW.findall(table)
    cells = {f"{s}+{loss}" for s in ("uniform", "popularity", "inbatch") for loss in ("bpr", "bce", "softmax")}
    assert {name for name, _ in shown} == cells
    assert [value for _, value in shown] == sorted((value for _, value in shown), reverse=True)
    assert float(shown[0][1]) > 0.05
    proposed = table.splitlines()[-1].removeprefix("Next: ")
    again, said = desk.type(proposed)
    softmax = [(name.removesuffix("+softmax"), value) for name, value in shown if name.endswith("+softmax")]
    assert ROW.findall(again) == softmax
    assert "to do" not in said

    # The page of it, as a browser shows it.
    _, said = desk.type(".venv/bin/bench report")
    assert re.fullmatch(r"Wrote report\.html \(\d\.\d MB\); open it in a browser\.\n", said)
    with chromium() as browser, browser.new_page() as tab:
        page = Opened(tab)
        tab.goto((desk.folder / "report.html").as_uri())
        assert [name for name, _ in shown] == page.names()
        assert shown[0][1] in tab.locator(".rows tbody tr").first.inner_text()
        assert tab.locator("[data-plot=curves] figcaption").count() == 9
        assert page.logged == []

    # A file of one's own.
    write_ratings(desk.folder)
    table, _ = desk.type(f".venv/bin/bench compare uniform popularity --dataset ratings.csv {SHORT}")
    assert "ratings.csv · NDCG@10" in table
    assert "40 users × 2 seeds" in table
    assert {name for name, _ in ROW.findall(table)} == {"uniform", "popularity"}

    # A sampler of one's own, as the page on it says.
    text = desk.read("docs/adding-a-sampler.md")
    code = re.search(r"```python\n(.*?)```", text, re.S)
    assert code is not None
    (desk.folder / "mine.py").write_text(code[1], encoding="utf-8")
    check, compare = re.findall(r"^(?:\.venv/bin/)?bench (?:check|compare) .*mine\.py$", text, re.M)
    assert "tail" in desk.type(check)[0]
    table, _ = desk.type(f"{compare} --dataset ratings.csv {SHORT}")
    assert {name for name, _ in ROW.findall(table)} == {"uniform", "tail:share=0.8"}

    # A tuned comparison for a paper, its page, and its reference.
    pair = "uniform+bpr inbatch+softmax"
    table, said = desk.type(
        f".venv/bin/bench tune {pair} --trials 2 --finalists 1 --seeds 1000,1001 --set epochs=2 --out tuned.toml"
    )
    assert {*re.findall(r"^(\S+\+\S+\+mf) ", table, re.M)} == {"uniform+bpr+mf", "inbatch+softmax+mf"}
    assert "Wrote tuned.toml; use it with --tuned-from tuned.toml.\n" in said
    tuned = f"{pair} --tuned-from tuned.toml --seeds 2 --set epochs=2"
    desk.type(f".venv/bin/bench compare {tuned} --format latex --out table.tex")
    latex = desk.read("table.tex")
    assert r"\toprule" in latex
    assert "uniform+bpr & " in latex
    desk.type(f".venv/bin/bench report {tuned} --out tuned.html")
    with chromium() as browser, browser.new_page() as tab:
        page = Opened(tab)
        tab.goto((desk.folder / "tuned.html").as_uri())
        assert {name for name in page.names()} == {*pair.split()}
        panels = tab.locator("[data-plot=tuning] figure")
        found = re.findall(r"^(\S+)\+mf .* 2  +(\d) ", table, re.M)
        assert {*panels.locator("figcaption").all_inner_texts()} == {
            f"{name}: within 1 % after {enough} of 2" for name, enough in found
        }
        assert panels.locator("svg .dot").count() == 4
        assert page.logged == []
    _, said = desk.type(f".venv/bin/bench cite {tuned} --out references.bib")
    references = desk.read("references.bib")
    keys = {*re.findall(r"^@\w+\{([^,]+),$", references, re.M)}
    assert {"contrarec", "rendle2009bpr"} <= keys
    text, _ = desk.type(f".venv/bin/bench cite {tuned}")
    for said in ("on ml-100k [harper2015movielens]", "with 2 trials a row", "trained with 2 seeds (0–1)"):
        assert said in text
    changed, _ = desk.type("git status --porcelain")
    assert {line.split()[-1] for line in changed.splitlines()} == {
        *("mine.py", "ratings.csv", "references.bib", "report.html", "table.tex", "tuned.html", "tuned.toml")
    }, "what nobody wrote"
