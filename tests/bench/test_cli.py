"""The command line as its users see it: real files, every mistake in one sentence, and processes that are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.inputs.asking import Answer, bench

ROOT = Path(__file__).parents[2]
QUICK = ("--set", "epochs=2", "--set", "embedding_size=8", "--set", "negatives=4", "--seeds", "2")


def process(*words: str | Path) -> Answer:
    """What a command leaves behind that is a process of its own, with its workers."""
    command = [sys.executable, "-m", "bench", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return Answer(done.returncode, done.stdout, done.stderr)


def compare(data: Path, *words: str | Path) -> Answer:
    return bench("compare", *words, "--dataset", data, *QUICK)


@pytest.mark.slow
def test_compare_trains_once_and_prints_every_format_from_the_store(ratings_csv: Path, tmp_path: Path) -> None:
    names = ("uniform+softmax", "popularity+bce", "inbatch:negatives=all")
    words = ("compare", *names, "--dataset", ratings_csv, *QUICK)
    stored = (*words, "--results", tmp_path / "two workers")
    first = process(*stored, "--jobs", "2")
    assert first.code == 0, first.err
    assert "6 of 6 runs to do" in first.err
    assert "[6/6]" in first.err
    for name in names:
        assert name in first.out
    again = process(*stored)
    assert (again.out, again.err) == (first.out, "")
    for format in ("markdown", "latex", "html", "csv"):
        done = bench(*stored, "--format", format)
        assert (done.code, done.err) == (0, "")
        assert "popularity" in done.out
    assert bench(*words, "--results", tmp_path / "one after the other").code == 0
    files = [sorted(store.glob("*/*/users.parquet")) for store in sorted(tmp_path.iterdir()) if store.name != "data"]
    assert [len(each) for each in files] == [6, 6]
    for one, other in zip(*files, strict=True):
        assert one.parent.name == other.parent.name
        assert one.read_bytes() == other.read_bytes(), "jobs do not change a bit"


def test_json_is_the_contract(ratings_csv: Path, tmp_path: Path) -> None:
    done = compare(ratings_csv, "uniform", "toppop", "--results", tmp_path, "--format", "json")
    table = json.loads(done.out)
    assert list(table) == [
        "dataset", "protocol", "metric", "seeds", "users", "test", "correction", "alpha", "alternative", "baseline",
        "data", "rows", "pairs", "skipped", "failed", "warnings", "facts", "command", "version", "commit", "manifest",
        "digest",
    ]  # fmt: skip
    assert set(table["data"]) == {"sha256", "verified", "source"}
    row, baseline = table["rows"]
    assert list(row) == [
        "name", "sampler", "loss", "model", "metrics", "diagnostics", "train_seconds", "epochs",
        "peak_bytes", "runs", "results", "settings", "letters",
    ]  # fmt: skip
    assert set(row["metrics"]["ndcg@10"]) == {"mean", "ci", "std_seeds"}
    assert set(row["metrics"]) == {f"{name}@{k}" for name in ("hr", "ndcg", "mrr", "recall") for k in (5, 10, 20)}
    assert (baseline["sampler"], baseline["model"]) == (None, "toppop")
    assert row["peak_bytes"] > 10_000_000 if Path("/proc/self/status").exists() else row["peak_bytes"] is None
    assert set(table["pairs"][0]) == {
        "a", "b", "metric", "difference", "ci", "ci_family", "p", "p_adjusted", "effect_size",
        "users_a_better", "users_b_better", "users_tied", "equal_by_identity",
    }  # fmt: skip
    assert (table["users"], table["seeds"]) == (40, [0, 1])


def test_what_draws_nothing_is_run_once_and_counts_for_every_seed(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("compare", "toppop", "random", "itemknn", "--dataset", ratings_csv, "--results", tmp_path)
    plan = bench(*words, "--seeds", "3", "--dry-run")
    assert "3 cells × 3 seeds, 2 of them once, = 5 runs" in plan.out
    table = json.loads(bench(*words, "--seeds", "3", "--format", "json").out)
    rows = {row["name"]: row for row in table["rows"]}
    assert {name: len(row["runs"]) for name, row in rows.items()} == {"toppop": 1, "random": 3, "itemknn": 1}
    deviations = {name: row["metrics"]["ndcg@20"]["std_seeds"] for name, row in rows.items()}
    assert deviations["toppop"] == deviations["itemknn"] == 0
    assert deviations["random"] > 0
    later = bench(*words, "--seeds", "7,9", "--format", "json")
    assert "2 of 4 runs to do" in later.err
    assert [row["runs"] for row in json.loads(later.out)["rows"]][::2] == [
        rows["toppop"]["runs"],
        rows["itemknn"]["runs"],
    ]


def test_table_trains_nothing(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("table", "uniform", "--dataset", ratings_csv, *QUICK, "--results", tmp_path)
    missing = bench(*words)
    assert missing.code == 2
    assert "2 of 2 runs of 'uniform' are not in" in missing.err
    compare(ratings_csv, "uniform", "--results", tmp_path)
    assert bench(*words).code == 0


def test_a_cached_comparison_imports_nothing_heavy(ratings_csv: Path, tmp_path: Path) -> None:
    compare(ratings_csv, "uniform", "popularity", "--results", tmp_path)
    code = (
        "import sys; from bench.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'scipy.stats', 'statsmodels', 'matplotlib', 'pandas', 'pydantic', 'tabulate', 'tarfile')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    words = ["compare", "uniform", "popularity", "--dataset", str(ratings_csv), *QUICK, "--results", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_cell_that_diverges_is_shown_as_failed(ratings_csv: Path, tmp_path: Path) -> None:
    done = compare(ratings_csv, "uniform", "softmax:learning_rate=1e30", "--results", tmp_path, "--format", "json")
    assert done.code == 1, done.err
    assert "2 of 4 runs failed; the first, softmax:learning_rate=1e30 seed 0: Diverged" in done.err
    assert "`bench runs show " in done.err
    assert "--retry-failed" in done.err
    table = json.loads(done.out)
    assert len(table["failed"]) == 2
    assert "Diverged" in table["failed"][0]["reason"]
    assert table["pairs"] == []
    shown = compare(ratings_csv, "uniform", "softmax:learning_rate=1e30", "--results", tmp_path)
    assert "2 of 2 failed" in shown.out


def test_bare_bench_prints_help() -> None:
    done = bench()
    assert (done.code, done.err) == (0, "")
    assert "compare" in done.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("compare", "unifrom"), "Did you mean 'uniform'?"),
        (("compre", "uniform"), "Did you mean 'compare'?"),
        (("compare", "uniform", "--sede", "1"), "has no option --sede. Did you mean --seeds?"),
        (("compare", "popularity:alpha=abc"), "alpha must be a number >= -4, <= 4, not 'abc' (default 0.75)."),
        (("compare", "uniform", "uniform+bpr"), "mean the same cell"),
        (("compare", "uniform", "--dataset", "ml-10k"), "Did you mean 'ml-100k'?"),
        (("compare", "uniform", "--dataset", "no/such.csv"), "There is no file or folder no/such.csv"),
        (("compare", "uniform", "--seeds", "x"), "--seeds x names no seeds"),
        (("compare", "uniform", "--metric", "ndgc@10"), "Did you mean 'ndcg@10'?"),
        (("compare", "uniform", "--cutoffs", "0"), "--cutoffs 0 is not a list of whole numbers from 1 to 10000"),
        (("compare", "uniform", "--metric", "ndcg@99999999"), "is no number from 1 to 10000"),
        (("compare", "uniform", "--device", "gpu"), "--device gpu is not a device"),
        (("compare", "uniform", "--test", "anova"), "No test is called 'anova'"),
        (("compare", "uniform", "--alternative", "grater"), "Did you mean 'greater'?"),
        (("compare", "uniform", "--groups", "activity"), "is for --view groups"),
        (("compare", "uniform", "--view", "groups", "--groups", "popularty"), "Did you mean 'popularity'?"),
        (("compare", "uniform", "--view", "rose"), "No view is called 'rose'"),
        (("compare", "uniform", "--baseline", "bce"), "No row is called 'bce'"),
        (("compare", "uniform", "--set", "epochs"), "--set epochs is not a setting"),
        (("compare", "uniform", "--set", "epoch=3"), "Did you mean 'epochs'?"),
        (("compare", "uniform", "--set", "epochs=0"), "epochs must be a whole number >= 1, not '0'"),
        (("compare", "uniform", "--format", "jsn"), "Did you mean 'json'"),
        (("compare", "uniform", "--jobs", "0"), "--jobs must be a number >= 1, not '0'."),
        (("compare", "uniform:negatives=all"), "cannot be trained: uniform has no negatives=all"),
        (("compare",), "Nothing to run"),
        (("list", "sampler"), "Did you mean 'samplers'?"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(words: tuple[str, ...], sentence: str) -> None:
    done = bench(*words)
    assert done.code == 2
    assert done.out == ""
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


HEADER = "user,item,rating,timestamp\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "empty"),
        (HEADER, "no interactions"),
        ("person,thing\n1,2\n", "column"),
        (HEADER + "1,2,nan,5\n" * 3, "rating"),
        (HEADER + "1,2,4,5\n1,3,4,6\n", "test"),
    ],
)
def test_files_that_cannot_be_used_are_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    done = bench("compare", "uniform", "--dataset", path, "--quiet")
    assert done.code == 2, done.err
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_results_that_cannot_be_written_are_one_sentence(ratings_csv: Path, tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_text("", encoding="utf-8")
    done = compare(ratings_csv, "uniform", "--quiet", "--results", blocker)
    assert done.code == 2
    assert "cannot be written" in done.err
    assert "Traceback" not in done.err


def twelve(data: Path, results: Path) -> list[str]:
    """The words of a command that makes twelve runs of 60 epochs."""
    words = ["compare", "uniform", "popularity", "inbatch", "--dataset", str(data), "--results", str(results)]
    return [*words, "--seeds", "4", "--set", "epochs=60", "--set", "patience=60"]


def _start(data: Path, results: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench", *twelve(data, results), "--jobs", "2", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for_a_run(results: Path, count: int = 1) -> None:
    deadline = time.monotonic() + 60
    while len(list(results.glob("*/*/run.json"))) < count:
        assert time.monotonic() < deadline, "no run finished"
        time.sleep(0.02)


@pytest.mark.slow
def test_ctrl_c_finishes_running_cells_and_the_same_command_goes_on(ratings_csv: Path, tmp_path: Path) -> None:
    process = _start(ratings_csv, tmp_path)
    _wait_for_a_run(tmp_path)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "press Ctrl-C again to stop now" in stderr
    assert "Traceback" not in stderr
    kept = len(list(tmp_path.glob("*/*/run.json")))
    assert 0 < kept < 12
    again = bench(*twelve(ratings_csv, tmp_path))
    assert again.code == 0, again.err
    assert f"{12 - kept} of 12 runs to do" in again.err


@pytest.mark.slow
def test_kill_leaves_a_store_that_goes_on(ratings_csv: Path, tmp_path: Path) -> None:
    process = _start(ratings_csv, tmp_path)
    _wait_for_a_run(tmp_path)
    process.kill()
    process.wait()
    process.stdout.close()  # type: ignore[union-attr]
    process.stderr.close()  # type: ignore[union-attr]
    again = bench(*twelve(ratings_csv, tmp_path))
    assert again.code == 0, again.err
    assert "Traceback" not in again.err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="finds worker processes in /proc")
def test_a_worker_that_dies_fails_one_run_and_the_rest_goes_on(ratings_csv: Path, tmp_path: Path) -> None:
    process = _start(ratings_csv, tmp_path, "--format", "json")
    _wait_for_a_run(tmp_path, 4)  # both workers are at a run by then
    os.kill(_a_worker_of(process.pid), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    failed = json.loads(stdout)["failed"]
    assert len(failed) == 1
    assert "SIGKILL" in failed[0]["reason"]
    assert len(list(tmp_path.glob("*/*/users.parquet"))) == 11
    retried = bench(*twelve(ratings_csv, tmp_path), "--format", "json", "--retry-failed")
    assert json.loads(retried.out)["failed"] == []


def _a_worker_of(parent: int) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            status = (path.parent / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent and b"spawn_main" in path.read_bytes():
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError("no worker found")


def test_calibrate_and_power_answer_from_the_runs(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("--dataset", ratings_csv, "--seeds", "6", "--results", tmp_path, *QUICK[:6], "--quiet")
    done = bench("calibrate", "uniform", *words, "--side", "3", "--splits", "20")
    assert done.code == 0, done.err
    assert "20 comparisons of 3 with 3 seeds out of 6, 40 users" in done.out
    assert "crossed-pooled" in done.out
    power = ("power", "uniform", "popularity", "inbatch", *words)
    done = bench(*power, "--difference", "0.5")
    assert done.code == 0, done.err
    assert "2 seeds find a difference of 0.5 over 40 users" in " ".join(done.out.split())
    assert "at level 0.0167 = 0.05/3" in done.out
    none = json.loads(bench(*power, "--baseline", "uniform", "--format", "json").out)
    assert (none["family"], none["level"], none["difference"]) == (2, 0.025, None)
    assert [(p["a"], p["b"], p["seeds_needed"]) for p in none["pairs"]] == [
        ("popularity", "uniform", None),
        ("inbatch", "uniform", None),
    ]
    assert bench(*power, "--format", "csv").out.startswith("a,b,")
    for wrong in (("--power", "2"), ("--difference", "0")):
        refused = bench(*power, *wrong)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "takes one cell" in bench("calibrate", "uniform", "popularity", *words).err
    assert "at least two cells" in bench("power", "uniform", *words).err


def test_figures_are_drawn_from_the_store(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("uniform", "popularity", "--results", tmp_path / "runs")
    done = compare(ratings_csv, *words, "--figures", tmp_path / "figures", "--quiet")
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}{suffix}" for name in ("pairs", "matrix", "cost", "curves") for suffix in (".svg", ".png")
    }


def test_groups_of_users_side_by_side(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("uniform", "popularity", "--results", tmp_path, "--quiet", "--view", "groups")
    done = compare(ratings_csv, *words, "--groups", "popularity")
    assert done.code == 0, done.err
    assert done.out.split("\n")[1] == "NDCG@10 by group of users (number of users)"
    assert "40 users × 2 seeds" in done.out
    found = json.loads(compare(ratings_csv, *words, "--groups", "popularity", "--format", "json").out)["groups"]
    assert len(found) == 3
    assert sum(table["users"] for table in found.values()) == 40
    whole = json.loads(compare(ratings_csv, *words[:-2], "--format", "json").out)
    means = [[t["users"] / 40 * t["rows"][0]["metrics"]["ndcg@10"]["mean"] for t in found.values()], whole["rows"]]
    assert abs(sum(means[0]) - means[1][0]["metrics"]["ndcg@10"]["mean"]) < 1e-12
    assert "activity 10 (40)" in compare(ratings_csv, *words).out, "all users of this file are equally active"


def test_expected_sampled_metrics_come_from_full_ranks(ratings_csv: Path, tmp_path: Path) -> None:
    words = ("uniform", "--results", tmp_path, "--quiet", "--format", "json")
    full = json.loads(compare(ratings_csv, *words).out)
    sampled = json.loads(compare(ratings_csv, *words, "--expect-sampled", "20").out)
    ndcg = [table["rows"][0]["metrics"]["ndcg@10"]["mean"] for table in (full, sampled)]
    assert ndcg[0] < ndcg[1] < 1
    assert any("sampled candidates" in warning for warning in sampled["warnings"])
    assert sampled["rows"][0]["runs"] == full["rows"][0]["runs"]
    assert "is too many" in compare(ratings_csv, *words, "--expect-sampled", "59").err
    drawn = compare(ratings_csv, *words, "--candidates", "sampled:20")
    assert drawn.code == 0, drawn.err
    assert json.loads(drawn.out)["rows"][0]["runs"] != full["rows"][0]["runs"]
