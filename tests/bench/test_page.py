"""The page of `bench report` in a real browser: opened from the disk, by mouse, by keyboard, on a phone, in print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from bench.comparison.compare import compare
from bench.comparison.nouns import Comparison, Context, Row
from bench.report.page import page
from bench.report.searched import Search
from bench.report.serve import server
from bench.report.subject import Subject
from tests.browser import Opened, chromium, needed, sync_api

pytestmark = [pytest.mark.slow, needed]
SHIFTS = {"uniform+bpr": 0.0, "uniform+softmax": 0.3, "pop_1:alpha=0.5+bpr": 0.05, "pop_1:alpha=0.5+softmax": 0.2}


def comparison(shifts: dict[str, float], best_only: bool = False) -> Comparison:
    rng = np.random.default_rng(0)
    base, rows = rng.random((1, 40)), []
    for i, (name, shift) in enumerate(shifts.items()):
        noise = rng.random((3, 40))
        metrics = {f"{kind}@{k}": (base + noise + shift) / (4 + k) for kind in ("hr", "ndcg", "mrr") for k in (5, 10)}
        sampler, _, loss = name.partition("+")
        runs = tuple(f"{i}-{seed}" for seed in range(3))
        users = np.arange(40)
        rows.append(Row(name, sampler, loss, "mf", (0, 1, 2), users, metrics, {"hardness": 0.5}, 1.0 + i, 9, runs))
    context = Context("toy", protocol={"split": "leave-last-one-out", "candidates": "full"})
    return compare(rows, context=context, best_only=best_only)


def subject() -> Subject:
    class Run:
        def __init__(self, epochs: int) -> None:
            self.record = {"epochs": epochs}

        def history(self) -> list[dict[str, float]]:
            return [{"valid": 0.1 * epoch} for epoch in range(self.record["epochs"])]

    runs = {name: [Run(3), Run(5)] for name in SHIFTS}
    searches = {"uniform+bpr": Search((0.1, 0.3, None), (False, True, False), ((0.3, 0.2),))}
    return Subject(comparison(SHIFTS), ("bench compare uniform",), runs=runs, searches=searches)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page([subject()]), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: sync_api.Browser, file: Path) -> Iterator[Opened]:
    """The page from the disk; afterwards it must have logged nothing and asked for nothing but itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found = Opened(context.new_page())
    found.tab.goto(file.as_uri())
    yield found
    assert found.logged == []
    assert found.requests == [file.as_uri()]
    context.close()


BY_MEAN = ["uniform+softmax", "pop_1:alpha=0.5+softmax", "pop_1:alpha=0.5+bpr", "uniform+bpr"]


def test_rows_are_sorted_by_mouse_and_by_keyboard(opened: Opened) -> None:
    assert opened.names() == BY_MEAN
    heading = opened.tab.locator("th[aria-sort]")
    assert (heading.inner_text(), heading.get_attribute("aria-sort")) == ("NDCG@10", "descending")
    opened.tab.get_by_role("button", name="seconds").click()
    assert opened.names() == [*SHIFTS][::-1]
    opened.tab.keyboard.press("Enter")  # the button keeps the focus
    assert opened.names() == [*SHIFTS]
    assert heading.get_attribute("aria-sort") == "ascending"
    opened.tab.keyboard.press("Shift+Tab")
    opened.tab.keyboard.press("Space")
    assert heading.inner_text() == "epochs"


def test_rows_are_filtered_and_figures_follow(opened: Opened) -> None:
    opened.tab.locator("[name=text]").fill("POP_1")
    assert opened.names() == ["pop_1:alpha=0.5+softmax", "pop_1:alpha=0.5+bpr"]
    assert opened.tab.locator(".count").inner_text() == "2 of 4 rows."
    assert opened.tab.locator("[data-plot=curves] figcaption").all_inner_texts() == opened.names()
    forest = opened.tab.locator(".forest .name").all_inner_texts()
    assert [name.removesuffix(" *") for name in forest] == opened.names()
    opened.tab.locator("[name=loss]").select_option("bpr")
    assert opened.names() == ["pop_1:alpha=0.5+bpr"]
    assert opened.tab.locator(".forest .name").count() == 1
    opened.tab.get_by_role("button", name="All rows").click()
    assert opened.names() == BY_MEAN
    assert opened.tab.locator("[name=text]").input_value() == ""


def test_metric_cut_off_and_baseline_are_switched(opened: Opened) -> None:
    first = opened.tab.locator(".forest .words").all_inner_texts()
    opened.tab.locator("[name=reference]").select_option(label="uniform+bpr")
    names, shown = (opened.tab.locator(f".forest .{part}").all_inner_texts() for part in ("name", "words"))
    words = dict(zip(names, shown[: len(names)], strict=True))
    c = comparison(SHIFTS)
    pair = next(p for p in c.pairs if (p.a, p.b, p.metric) == ("uniform+bpr", "uniform+softmax", "ndcg@10"))
    assert words["uniform+softmax"].startswith(f"{-pair.difference:+.4f} [")
    assert first != list(words.values())
    assert opened.tab.locator("tr.reference th").inner_text() == "uniform+bpr"
    opened.tab.locator("[name=cutoff]").select_option("5")
    best = max(value["ndcg@5"].mean for value in c.values)
    assert f"{best:.4f}" in opened.tab.locator(".rows tbody tr").first.inner_text()
    assert "make the report with --metric ndcg@5" in opened.tab.locator(".notes").inner_text()
    assert f"{best:.4f}" == opened.tab.locator(".heat td.top").inner_text()
    opened.tab.locator("[name=kind]").select_option("hr")
    assert opened.tab.locator("th[aria-sort]").inner_text() == "HR@5"


def test_what_is_shown_is_copied_as_markdown_and_latex(opened: Opened) -> None:
    opened.tab.locator("[name=sampler]").select_option("pop_1")
    opened.tab.get_by_role("button", name="Copy Markdown").click()
    opened.tab.get_by_text("Markdown copied.").wait_for()
    lines = [line for line in opened.pasted().splitlines() if line.startswith("|")]
    assert lines[0].startswith("| row | NDCG@10 | vs best [95% simultaneous] | rel. | p (holm) | HR@10 | MRR@10 |")
    assert [line.split(" | ")[0] for line in lines[2:]] == [r"| pop\_1:alpha=0.5+softmax", r"| pop\_1:alpha=0.5+bpr"]
    assert len({line.count(" | ") for line in (lines[0], *lines[2:])}) == 1
    opened.tab.get_by_role("button", name="Copy LaTeX").first.click()
    opened.tab.get_by_text("LaTeX copied.").wait_for()
    text = opened.pasted()
    assert text.isascii()
    assert text.count(r"\begin") == text.count(r"\end") == 3
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().splitlines()
    assert [line.partition(" & ")[0] for line in body] == [r"pop\_1:alpha=0.5+softmax", r"pop\_1:alpha=0.5+bpr"]
    assert {line.count(" & ") for line in body} == {lines[0].count(" | ")}


def test_every_part_is_there_and_its_link_leads_to_it(opened: Opened) -> None:
    links = opened.tab.locator("nav a")
    shown = ["Table", "Differences", "Samplers × losses", "Learning curves", "Accuracy against cost", "Tuning"]
    assert links.all_inner_texts()[:6] == shown
    assert links.all_inner_texts()[6:] == [
        *("Diagnostics and cost", "Groups of users", "Protocol", "Provenance", "Commands", "Citation")
    ]
    for href in links.evaluate_all("all => all.map(one => one.getAttribute('href'))"):
        assert opened.tab.locator(f"section{href}").inner_text().count("\n") > 0
    assert opened.tab.locator("[data-plot=curves] svg .after").count() == 4
    assert opened.tab.locator("[data-plot=tuning] svg .hollow").count() == 1
    assert opened.tab.locator("[data-plot=cost] svg .point").count() == 4


def test_dark_narrow_and_print(opened: Opened) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.tab.evaluate(background)
    opened.tab.emulate_media(color_scheme="dark")
    assert light == "rgb(255, 255, 255)"
    assert opened.tab.evaluate(background) == "rgb(20, 24, 29)"
    opened.tab.set_viewport_size({"width": 360, "height": 700})
    assert opened.tab.evaluate("document.documentElement.scrollWidth") == 360
    opened.tab.emulate_media(media="print", color_scheme="light")
    assert not opened.tab.get_by_role("button", name="Copy Markdown").is_visible()
    assert opened.tab.locator(".rows thead").get_by_text("vs best").is_visible()


def test_five_hundred_rows_are_drawn_and_filtered(browser: sync_api.Browser, tmp_path: Path) -> None:
    shifts = {f"dns:pool={i}+softmax:temperature={j}": (i + j) / 50 for i in range(25) for j in range(20)}
    file = tmp_path / "many.html"
    file.write_text(page([Subject(comparison(shifts, best_only=True), ())]), encoding="utf-8")
    with browser.new_page() as tab:
        found = Opened(tab)
        tab.goto(file.as_uri())
        assert len(found.names()) == 500
        assert tab.locator(".heat tbody td").count() == 500
        tab.locator("[name=text]").fill("=24+softmax:temperature=1")
        assert len(found.names()) == 11
        assert (found.logged, found.requests) == ([], [file.as_uri()])


def test_a_watched_page_comes_again_with_what_was_chosen(browser: sync_api.Browser) -> None:
    state = ["1"]
    with server(0, lambda: state[0], lambda now: page([subject()], now)) as serving:
        thread = Thread(target=serving.serve_forever, args=(0.05,))
        thread.start()
        try:
            with browser.new_page() as tab:
                found = Opened(tab)
                tab.goto(serving.url)
                tab.locator("[name=loss]").select_option("bpr")
                state[0] = "2"
                tab.locator("body[data-state='2']").wait_for()
                assert len(found.names()) == 2
                assert found.logged == []
                assert {*found.requests} == {serving.url, f"{serving.url}state"}
        finally:
            serving.shutdown()
            thread.join()
