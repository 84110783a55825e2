"""What the page of `bench report` holds: every reference against the pairs of the table, and what it is made of."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli.compare import Compare
from bench.cli.grammar import Seeds, Setting
from bench.cli.main import command
from bench.cli.report import Report, again
from bench.comparison.compare import compare
from bench.comparison.nouns import Comparison, Context, Row
from bench.report import page as pages
from bench.report import subject as subjects
from bench.report.content import content
from bench.report.page import embedded, page
from bench.report.searched import Search
from bench.report.stored import tables
from bench.report.subject import Subject, best_only, of_published
from bench.results.published import read
from bench.runs.design import Experiment
from bench.runs.store import Store, store_at
from datasets.consent import Consent
from datasets.errors import UserError
from tests.bench.published_tables import made_up, published
from tests.inputs.asking import bench

NAMES = ["uniform+bpr", "popularity+bpr", "uniform+softmax", "toppop"]
SMALL = [Setting("epochs", "2"), Setting("embedding_size", "4")]


def rows(count: int = 4, users: int = 30, seeds: int = 4) -> list[Row]:
    rng = np.random.default_rng(0)
    base, made = rng.random((1, users)), []
    for i in range(count):
        values = base + 0.02 * i + 0.1 * rng.random((seeds, users))
        metrics = {"hr@10": values / 3, "ndcg@10": values / 2}
        runs = tuple(f"{i}-{s}" for s in range(seeds))
        made.append(
            Row(f"s{i}+bpr", f"s{i}", "bpr", "mf", tuple(range(seeds)), np.arange(users), metrics, {}, 1.0, 9, runs)
        )
    return made


def comparison(**options: Any) -> Comparison:
    context = Context("toy", protocol={"split": "leave-last-one-out", "candidates": "full"})
    return compare(rows(), context=context, **options)


def drawn(found: dict[str, Any], metric: str) -> dict[tuple[str, str], list[float]]:
    """(row, reference) → difference, lo, hi of all that the page can show."""
    names = [row["name"] for row in found["rows"]]
    return {
        (name, names[one["row"]]): line[2]
        for one in found["references"]
        for name, line in zip(names, one["metrics"][metric], strict=True)
        if line[2]
    }


@pytest.mark.parametrize("metric", ["ndcg@10", "hr@10"])
def test_any_row_can_be_the_reference_and_shows_the_pairs_of_the_table(metric: str) -> None:
    c = comparison()
    found = drawn(content(Subject(c, ())), metric)
    assert len(found) == 4 * 3
    for pair in (pair for pair in c.pairs if pair.metric == metric):
        numbers = [pair.difference, pair.lo_family, pair.hi_family]
        assert found[pair.a, pair.b] == pytest.approx(numbers, abs=1e-6)
        assert found[pair.b, pair.a] == pytest.approx([-numbers[0], -numbers[2], -numbers[1]], abs=1e-6)


def test_the_given_baseline_keeps_its_family_and_a_row_chosen_in_the_page_has_that_of_all_pairs() -> None:
    c = comparison(baseline="s1+bpr")
    first, *others = content(Subject(c, ()))["references"]
    assert (first["label"], first["family"], first["row"]) == ("s1+bpr (--baseline)", 3, 1)
    assert [line[3] for line in first["metrics"]["ndcg@10"]] == [
        next((pair.p_adjusted for pair in c.pairs if (pair.a, pair.metric) == (row.name, "ndcg@10")), None)
        for row in c.rows
    ]
    assert [one["family"] for one in others] == [6, 6, 6]
    every = {(p.a, p.b): p.p_adjusted for p in comparison().pairs if p.metric == "ndcg@10"}
    assert [line[3] for line in others[0]["metrics"]["ndcg@10"][1:]] == [
        every["s0+bpr", f"s{i}+bpr"] for i in (1, 2, 3)
    ]


def test_one_sided_pairs_are_shown_as_they_were_asked_alone() -> None:
    found = content(Subject(comparison(alternative="greater"), ()))["references"]
    assert len(found) == 1
    assert list(found[0]["metrics"]) == ["ndcg@10"]
    assert found[0]["header"] == ["vs best [95% simultaneous]", "rel."]


def test_of_many_rows_the_pairs_with_the_best_are_corrected_over_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    few, every = comparison(best_only=True), comparison(correction="bonferroni")
    best = max(every.rows, key=lambda row: float(row.metrics["ndcg@10"].mean())).name
    assert few.pairs == tuple(pair for pair in every.pairs if best in (pair.a, pair.b))
    monkeypatch.setattr(subjects, "MOST", 3)
    found = content(Subject(few, ()))
    assert [(one["label"], one["family"]) for one in found["references"]] == [(f"{best} (the best)", 6)]
    assert "bonferroni over the 6 pairs of each metric" in found["caption"]
    assert [best_only(rows) for rows in ([1] * 3, [1] * 4)] == [False, True]


def test_a_curve_keeps_mean_ends_and_the_epoch_of_the_first_stop() -> None:
    class Run:
        def __init__(self, values: list[float]) -> None:
            self.record, self.values = {"epochs": len(values)}, values

        def history(self) -> list[dict[str, float]]:
            return [{"valid": value} for value in self.values]

    c = comparison()
    runs: Any = {"s0+bpr": [Run([0.1, 0.3]), Run([0.2, 0.2, 0.5])], "s1+bpr": [Run([0.0] * 1000)]}
    found = content(Subject(c, (), runs=runs))["curves"]["rows"]
    expected = {"x": [1, 2, 3], "mean": [0.15, 0.25, 0.4], "lo": [0.1, 0.2, 0.3], "hi": [0.2, 0.3, 0.5], "stop": 2}
    assert found["s0+bpr"] == expected
    long = found["s1+bpr"]
    assert (long["x"][0], long["x"][-1], long["stop"], long["lo"]) == (1, 1000, 1000, [])
    assert len(long["x"]) <= 101


def test_a_search_is_drawn_with_its_best_so_far_and_the_spread_of_its_finalists() -> None:
    search = Search((0.1, None, 0.3, 0.2), (False, False, False, True), ((0.3, 0.5), (0.2, 0.2)))
    (found,) = content(Subject(comparison(), (), searches={"s0+bpr": search}))["searches"]
    assert found["best"] == [0.1, 0.1, 0.3, 0.3]
    assert found["enough"] == 3
    assert found["spread"] == pytest.approx(np.sqrt(0.02 / 2), abs=1e-6)


class Read(HTMLParser):
    """What a browser would load, and the texts of scripts that hold data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.data: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.loaded += [str(given[name]) for name in ("src", "href", "action", "data", "poster") if given.get(name)]
        self.inside = tag == "script" and given.get("type") == "application/json"

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.data.append(data)


def test_a_page_loads_nothing_and_shows_names_as_they_are() -> None:
    c, evil = comparison(), "</script><img src=x onerror=alert(1)><!--title-->"
    c = replace(c, rows=(replace(c.rows[0], name=evil), *c.rows[1:]), warnings=(evil,))
    text = page([Subject(c, (evil,))])
    found = Read(text)
    assert {where for where in found.loaded if not where.startswith("#")} == {"data:,"}
    assert "img" not in found.tags
    assert json.loads(found.data[0])["rows"][0]["name"] == evil
    assert len(found.data) == 1
    assert "default-src 'none'" in text
    assert "connect-src 'none'" in text
    assert (
        re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", re.sub(r"<pre.*?</pre>", "", text, flags=re.S))
        is None
    )


def test_what_is_embedded_closes_no_script() -> None:
    assert embedded(["</script>", "<!--", 1.5, None]) == '["\\u003c/script>","\\u003c!--",1.5,null]'


def test_a_page_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LIMIT", 1000)
    with pytest.raises(UserError, match=r"The page would have 0\.\d MB, more than .* report fewer rows"):
        page([Subject(comparison(), ())])


def asked(data: Path, names: list[str], **options: Any) -> Report:
    return Report(names=names, dataset=[str(data)], **{"seeds": Seeds.of(2), "settings": SMALL, **options})


def filled(report: Report) -> Experiment:
    (experiment,) = report.experiments()
    made_up(experiment)
    return experiment


def test_cells_become_the_page_of_the_table(ratings_csv: Path, tmp_path: Path) -> None:
    report = asked(ratings_csv, NAMES, out=tmp_path / "sub" / "page.html")
    filled(report)
    assert report.run() == 0
    found = json.loads(Read((tmp_path / "sub" / "page.html").read_text(encoding="utf-8")).data[0])
    table = Compare(names=NAMES, dataset=[str(ratings_csv)], seeds=Seeds.of(2), settings=SMALL).comparison()
    assert [row["values"]["mrr@5"][0] for row in found["rows"]] == [
        pytest.approx(values["mrr@5"].mean, abs=1e-6) for values in table.values
    ]
    assert found["curves"]["rows"].keys() == {"uniform+bpr", "popularity+bpr", "uniform+softmax", "toppop"}
    text = (tmp_path / "sub" / "page.html").read_text(encoding="utf-8")
    assert "NDCG@10 by group of users" in text
    assert "<dt>data sha256</dt>" in text
    assert "@misc{contrarec" in text


def test_cells_that_are_not_run_are_refused_but_watched(ratings_csv: Path) -> None:
    report = asked(ratings_csv, NAMES, baseline="toppop", watch=True)
    (experiment,) = report.experiments()
    with pytest.raises(UserError, match=r"2 of 2 runs of 'uniform\+bpr' are not in"):
        replace(report, watch=False).run()
    with pytest.raises(UserError, match="None of the 7 runs is done yet"):
        report._subjects(None, [experiment])
    cells = experiment.cells
    made_up(replace(experiment, cells=cells[:1]))
    made_up(replace(experiment, cells=cells[1:2], seeds=(1,)))
    (one,) = report._subjects(None, [experiment])
    assert one.waiting == "3 of 7 runs are done; rows without a run are not shown."
    assert [row.seeds for row in one.comparison.rows] == [(0, 1), (1,)]
    assert one.comparison.baseline is None
    made_up(experiment)
    (one,) = report._subjects(None, [experiment])
    assert (one.waiting, one.comparison.baseline, len(one.comparison.rows)) == ("", "toppop", 4)


def test_a_published_table_is_shown_as_it_is_with_what_verifies_it(tmp_path: Path) -> None:
    mine = published(tmp_path)
    subject = of_published(read(mine), Consent(), store_at(None))
    told = content(subject)["curves"]
    assert told.startswith("A published table keeps ranks and settings, not the history of each run; ")
    assert told.endswith(f"{store_at(None).root} has 0 of 10.")
    assert f"bench verify {mine} --rerun 3" in subject.commands
    out = tmp_path / "x.html"
    assert Report(names=[str(mine / "table.json")], out=out).run() == 0
    assert json.loads(Read(out.read_text(encoding="utf-8")).data[0])["caption"] == content(subject)["caption"]
    with pytest.raises(UserError, match=r"^--metric is of cells, and .*mine is shown as it was published"):
        Report(names=[str(mine)], metric="hr@10", out=out).run()
    with pytest.raises(UserError, match="stands alone"):
        Report(names=[str(mine), "uniform"], out=out).run()
    with pytest.raises(UserError, match="does not change"):
        Report(names=[str(mine)], watch=True).run()


def test_a_published_table_has_the_curves_of_its_runs_where_the_store_has_them_all(tmp_path: Path) -> None:
    table, store = read(published(tmp_path)), Store(tmp_path / "store")
    curves = content(of_published(table, Consent(), store))["curves"]["rows"]
    assert curves.keys() == {"uniform+bpr", "popularity+bpr", "uniform+softmax:temperature=0.5", "toppop"}
    assert curves["uniform+bpr"]["mean"] == [0.1, 0.2]
    one = next(store.root.glob("*/*/run.json"))
    one.unlink()
    assert content(of_published(table, Consent(), store))["curves"].endswith(f"{store.root} has 9 of 10.")


def test_a_tuned_comparison_has_the_trials_that_chose_its_settings(ratings_csv: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    cells, file = ("uniform+bpr", "uniform+softmax"), tmp_path / "tuned.toml"
    few = (
        "--trials",
        "3",
        "--finalists",
        "2",
        "--seeds",
        "1000-1002",
        "--set",
        "epochs=2",
        "--set",
        "embedding_size=4",
    )
    done = bench("tune", *cells, "--dataset", ratings_csv, *few, "--out", file)
    assert done.code == 0, done.err
    report = asked(ratings_csv, [*cells], tuned_from=str(file))
    (subject,) = report._subjects(None, [filled(report)])
    known = {run.record["spec"]["seed"]: [] for run in store_at(None).runs()}
    for run in store_at(None).runs():
        if run.record["spec"]["loss"]["name"] == "softmax":
            known[run.record["spec"]["seed"]].append(max(line["valid"] for line in run.history()))
    search = subject.searches["softmax"]
    assert sorted(search.scores) == pytest.approx(sorted(known[1000]), rel=1e-5)
    assert sorted(each[0] for each in search.finalists) == pytest.approx(sorted(known[1001]), rel=1e-5)
    assert (search.given_up, subject.remarks) == ((False,) * 3, ())
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith(("scores", "stopped", "finalists = [["))))
    (subject,) = report._subjects(None, report.experiments())
    assert not subject.searches
    assert subject.remarks[0].startswith("No tuning curve of bpr, softmax: tuned.toml was written without its trials.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "There are no finished runs in .*; `bench compare` makes some"),
        ({"dataset": ["x"]}, "no finished runs on x"),
        ({"seeds": Seeds.of(3)}, "^--seeds is of cells; name some, or leave it out for the whole store"),
        ({"settings": SMALL}, "^--set is of cells"),
        ({"out": Path("x.pdf")}, r"x\.pdf is no page; end it in \.html"),
    ],
)
def test_what_means_nothing_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Report(**options).run()


@pytest.fixture
def store(ratings_csv: Path) -> Store:
    """Two settings of one cell, seeds of their own, a search, a baseline without randomness."""
    filled(asked(ratings_csv, NAMES))
    filled(asked(ratings_csv, ["uniform+bpr"], settings=[Setting("epochs", "3"), SMALL[1]]))
    filled(asked(ratings_csv, ["inbatch+bpr"], seeds=Seeds.of("7-8")))
    filled(asked(ratings_csv, ["uniform+bpr"], seeds=Seeds.of([1000])))
    return store_at(None)


def test_the_whole_store_is_told_apart_and_can_be_made_again(
    store: Store, ratings_csv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = sorted(tables(store, [10]), key=lambda one: -len(one.rows))
    assert {row.name for row in first.rows} == {
        *("uniform+bpr:epochs=2", "uniform+bpr:epochs=3", "popularity+bpr:epochs=2", "uniform+softmax:epochs=2"),
        "toppop",
    }
    assert {row.name for row in second.rows} == {"inbatch+bpr"}
    assert {row.seeds for row in first.rows} == {(0, 1)}
    assert first.remarks == ("Left out: 1 run, of searches, with seeds from 1000 on.",)
    monkeypatch.chdir(ratings_csv.parent)
    for one in (first, second):
        words = shlex.split(one.commands[0])
        params = command().commands["compare"].make_context("compare", words[2:]).params  # type: ignore[attr-defined]
        (experiment,) = Compare(**params).experiments()
        assert experiment.missing() == []
        assert {spec.run_id for spec in experiment.specs()} == {run for row in one.rows for run in row.runs}
    assert Report(out=tmp_path / "all.html").run() == 0
    assert '<select id="chooser">' in (tmp_path / "all.html").read_text(encoding="utf-8")


def test_the_command_that_trains_again_leaves_out_where_the_page_goes() -> None:
    words = ["uniform", "--out", "a/x.html", "--port=3", "--watch", "--seeds", "3"]
    assert again(words)[0] == "bench compare uniform --seeds 3"
