"""Experiment files as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.asking import ask, check

HEAD = 'sampler = ["uniform", "popularity"]\ndataset = "ratings.csv"\n'

FILES: list[tuple[str, int, list[str]]] = [
    ("", 0, ["2 cells × 5 seeds = 10 runs"]),
    ("seeds = 3\n", 0, ["2 cells × 3 seeds = 6 runs"]),
    ("seeds = [3]\n", 0, ["2 cells × 1 seeds = 2 runs"]),
    ("seeds = [3, 7]\n", 0, ["2 cells × 2 seeds = 4 runs"]),
    ('seeds = "10-14"\n', 0, ["2 cells × 5 seeds = 10 runs"]),
    ("seeds = [7, 7]\n", 2, ["mine.toml", "seeds", "7", "twice"]),
    ("seeds = []\n", 2, ["mine.toml", "seeds", "[]"]),
    ("seeds = [1.5]\n", 2, ["mine.toml", "seeds", "1.5"]),
    ("seeds = true\n", 2, ["mine.toml", "seeds", "true"]),
    ("seeds = -1\n", 2, ["seeds", "-1"]),
    ("seeds = [-1, 2]\n", 2, ["seeds", "-1"]),
    ("seeds = 1000000000\n", 2, ["seeds", "1000000000"]),
    ('seeds = "all"\n', 2, ["seeds", "all"]),
    ("cutoffs = [5, 10]\n", 0, ["10 runs"]),
    ("cutoffs = 10\n", 0, ["10 runs"]),
    ("cutoffs = [5, 5]\n", 2, ["mine.toml", "cutoffs", "5,5", "once"]),
    ("cutoffs = []\n", 2, ["mine.toml", "cutoffs", "[]"]),
    ("cutoffs = [0]\n", 2, ["cutoffs", "0"]),
    ('cutoffs = "a"\n', 2, ["cutoffs", "a"]),
    ("samplr = 3\n", 2, ["mine.toml", "'samplr'", "'sampler'"]),
    ("k_core = 5\n", 2, ["mine.toml", "'k_core'", "'k-core'"]),
    ("k-core = 5\n", 0, ["10 runs"]),
    ("k-core = [2, 3]\n", 0, ["10 runs"]),
    ("k-core = [1, 2, 3]\n", 2, ["k-core"]),
    ("epochs = 3\n", 2, ["mine.toml", "'epochs'", "[set]"]),
    ("lr = 0.1\n", 2, ["mine.toml", "'lr'", "[set]", "learning_rate"]),
    ("seed = 3\n", 2, ["mine.toml", "'seed'", "'seeds'"]),
    ("Seeds = 3\n", 2, ["mine.toml", "'Seeds'", "'seeds'"]),
    ("plugin_path = 3\n", 2, ["mine.toml", "'plugin_path'"]),
    ("loss = 3\n", 2, ["mine.toml", "loss", "3"]),
    ("loss = []\n", 2, ["mine.toml", "loss", "[]"]),
    ('loss = ["bpr", 3]\n', 2, ["mine.toml", "loss", "3"]),
    ('loss = ["bpr", "bpr"]\n', 2, ["once"]),
    ('loss = "brp"\n', 2, ["'brp'", "'bpr'"]),
    ('loss = "uniform"\n', 2, ["'uniform'", "sampler"]),
    ('loss = "bpr, softmax"\n', 2, ["bpr, softmax"]),
    ('alpha = "low"\n', 2, ["mine.toml", "alpha", "low"]),
    ("alpha = true\n", 2, ["mine.toml", "alpha", "true"]),
    ("alpha = 5\n", 2, ["alpha", "0.05"]),
    ("alpha = nan\n", 2, ["alpha", "nan"]),
    ("quiet = 1\n", 2, ["mine.toml", "quiet", "true or false"]),
    ('quiet = "yes"\n', 2, ["mine.toml", "quiet", "true or false"]),
    ("split-seed = 1.5\n", 2, ["mine.toml", "split-seed", "1.5"]),
    ("jobs = 0\n", 2, ["jobs", "1"]),
    ("sample-users = -1\n", 2, ["sample-users", "-1"]),
    ("cell-timeout = -1\n", 2, ["cell-timeout", "-1"]),
    ("expect-sampled = 0\n", 2, ["expect-sampled", "0"]),
    ('metric = ["hr@10"]\n', 2, ["mine.toml", "metric"]),
    ('metric = "NDCG@10"\n', 2, ["'ndcg@10'"]),
    ('format = "jsn"\n', 2, ["'jsn'", "'json'"]),
    ('split = ["ratio"]\n', 2, ["mine.toml", "split"]),
    ("split = { name = 'ratio' }\n", 2, ["mine.toml", "split"]),
    ("set = 3\n", 2, ["mine.toml", "set", "[set]"]),
    ("[set]\nepochs = 3\n", 0, ["10 runs"]),
    ("[set]\nepochs = [3, 4]\n", 0, ["20 runs"]),
    ("[set]\nepochs = [3, 3]\n", 2, ["epochs", "twice"]),
    ("[set]\nepochs = []\n", 2, ["mine.toml", "epochs", "[]"]),
    ("[set]\nepochs = [[1]]\n", 2, ["mine.toml", "epochs"]),
    ("[set]\nepochs = {a = 1}\n", 2, ["mine.toml", "epochs"]),
    ("[set]\nepohcs = 3\n", 2, ["'epohcs'", "'epochs'"]),
    ("[set]\nlr = 0.1\n", 2, ["'lr'", "'learning_rate'"]),
    ("[set]\nlearning_rate = true\n", 2, ["learning_rate", "true"]),
    ("[set]\nseeds = 3\n", 2, ["'seeds'", "seeds"]),
    ("[settings]\nepochs = 3\n", 2, ["mine.toml", "'settings'", "'set'"]),
    ("[popularity]\nalpha = 0.5\n", 2, ["mine.toml", "'popularity'"]),
    ("seeds = 3\nseeds = 4\n", 2, ["mine.toml", "TOML", "line 4"]),
    ("seeds 3\n", 2, ["mine.toml", "TOML", "line 3"]),
    ("seeds = \n", 2, ["mine.toml", "TOML"]),
    ("seeds = 'x\n", 2, ["mine.toml", "TOML"]),
    ("seeds: 3\n", 2, ["mine.toml", "TOML"]),
]

OTHERS: list[tuple[str, bytes | None, str, int, list[str]]] = [
    ("no such file", None, "run nope.toml", 2, ["nope.toml", "exists"]),
    ("nearly its name", b"seeds = 3\n", "run min.toml", 2, ["min.toml", "mine.toml"]),
    ("a folder", None, "run folder.toml", 2, ["folder.toml", "folder"]),
    ("nothing in it", b"", "run mine.toml", 2, ["Nothing to run"]),
    ("no text", b"\x00\xff\xfe\x00", "run mine.toml", 2, ["mine.toml", "TOML"]),
    ("latin-1", 'sampler = "uniform" # né\n'.encode("latin-1"), "run mine.toml", 2, ["mine.toml", "UTF-8"]),
    (
        "a byte order mark",
        b'\xef\xbb\xbfsampler = "uniform"\ndataset = "ratings.csv"\n',
        "run mine.toml",
        0,
        ["5 runs"],
    ),
    ("CRLF", b'sampler = "uniform"\r\ndataset = "ratings.csv"\r\n', "run mine.toml", 0, ["5 runs"]),
    ("two files", b'sampler = "uniform"\n', "run mine.toml mine.toml", 2, ["mine.toml", "alone"]),
    ("a cell beside it", b'sampler = "uniform"\n', "run mine.toml popularity", 2, ["popularity"]),
    ("after a cell", b'sampler = "uniform"\n', "run popularity mine.toml", 2, ["mine.toml", "alone"]),
    ("YAML", b"seeds: 3\n", "run mine.yaml", 2, ["mine.yaml", "TOML"]),
    ("JSON", b'{"seeds": 3}\n', "run mine.json", 2, ["mine.json", "TOML"]),
    ("in capitals", b'sampler = "uniform"\ndataset = "ratings.csv"\n', "run MINE.TOML", 0, ["5 runs"]),
    (
        "one table for two data sets",
        b'sampler = "uniform"\ndataset = ["ratings.csv", "ml-100k"]\nout = "x.md"\n',
        "run mine.toml",
        2,
        ["out", "2 data sets"],
    ),
    (
        "the second data set",
        b'sampler = "uniform"\ndataset = ["ratings.csv", "ml-10k"]\n',
        "run mine.toml",
        2,
        ["ml-100k"],
    ),
    (
        "one data set twice",
        b'sampler = "uniform"\ndataset = ["ratings.csv", "ratings.csv"]\n',
        "run mine.toml",
        2,
        ["twice"],
    ),
    ("no data set", b'sampler = "uniform"\ndataset = []\n', "run mine.toml", 2, ["dataset", "[]"]),
    ("a number for it", b'sampler = "uniform"\ndataset = 3\n', "run mine.toml", 2, ["dataset", "3"]),
    (
        "one data set across",
        b'sampler = "uniform"\ndataset = "ratings.csv"\n',
        "across mine.toml",
        2,
        ["two data sets"],
    ),
    ("a small pilot", b'sampler = "uniform"\ndataset = "ratings.csv"\n', "power mine.toml", 2, ["two cells"]),
    (
        "one seed beside it",
        b'sampler = ["uniform", "popularity"]\ndataset = "ratings.csv"\n',
        "power mine.toml --seeds 1",
        2,
        ["two", "--seeds"],
    ),
    (
        "an option of another command beside it",
        b'sampler = ["uniform", "popularity"]\ndataset = "ratings.csv"\n',
        "power mine.toml --view pairs",
        2,
        ["--view", "bench power"],
    ),
    (
        "a wish that means nothing beside it",
        b'sampler = ["uniform", "popularity"]\ndataset = "ratings.csv"\n',
        "power mine.toml --difference 0",
        2,
        ["difference", "0.002"],
    ),
    ("an option twice beside it", b'sampler = "uniform"\n', "run mine.toml --seeds 2 --seeds 3", 2, ["twice"]),
    ("a misspelt one beside it", b'sampler = "uniform"\n', "run mine.toml --seed 2", 2, ["--seeds"]),
    ("a setting that is none beside it", b'sampler = "uniform"\n', "run mine.toml --set lrr=2", 2, ["'lrr'"]),
    (
        "two plans and one file for both",
        b'sampler = ["uniform", "popularity"]\ndataset = ["ratings.csv", "ml-100k"]\nout = "x.csv"\n',
        "power mine.toml",
        2,
        ["out", "2 data sets"],
    ),
    (
        "a text in a file for numbers",
        b'sampler = "uniform"\ndataset = "ratings.csv"\nseeds = 40\nout = "x.csv"\n',
        "calibrate mine.toml",
        2,
        ["x.csv", ".txt"],
    ),
    ("train words in a table", b'sampler = "uniform"\njobs = 2\n', "table mine.toml", 2, ["jobs", "bench table"]),
]


@pytest.mark.parametrize(("text", "code", "must"), FILES, ids=[text.strip()[:40] for text, _, _ in FILES])
def test_a_word_of_a_file_is_told_what_it_may_be(text: str, code: int, must: list[str], here: Path) -> None:
    (here / "mine.toml").write_text(HEAD + text, encoding="utf-8")
    check(ask("run mine.toml --dry-run"), code, must)


@pytest.mark.parametrize(("content", "words", "code", "must"), [o[1:] for o in OTHERS], ids=[o[0] for o in OTHERS])
def test_a_file_that_cannot_be_read_is_told_why(
    content: bytes | None, words: str, code: int, must: list[str], here: Path
) -> None:
    (here / "folder.toml").mkdir()
    if content is not None:
        name = words.split()[1] if "min.toml" not in words else "mine.toml"
        (here / ("mine.toml" if name == "popularity" else name)).write_bytes(content)
    check(ask(f"{words} --dry-run" if not words.startswith("table") else words), code, must)


def test_settings_beside_a_file_win_and_it_keeps_its_others(here: Path) -> None:
    (here / "mine.toml").write_text(HEAD + "seeds = 1\n[set]\nepochs = 3\nembedding_size = 8\n", encoding="utf-8")
    check(ask("run mine.toml --set epochs=2 --quiet --jobs 1 --results store"), 0, ["popularity"])
    cells = "uniform popularity --seeds 1 --dataset ratings.csv --results store"
    check(ask(f"table {cells} --set epochs=2 --set embedding_size=8"), 0, ["uniform"])
    assert "2 done" in ask("run mine.toml --set epochs=2 --dry-run --results store").out
