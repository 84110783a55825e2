"""Names of methods, cells and their options, as people write them."""

from __future__ import annotations

from pathlib import Path

from tests.inputs.asking import Case, ask, check, table

NAMES: list[Case] = [
    ("compare", 2, ["Nothing to run", "bench compare uniform"]),
    ("run", 2, ["Nothing to run", "sampler"]),
    ("compare unifrom", 2, ["'unifrom'", "Did you mean 'uniform'?"]),
    ("compare Uniform", 2, ["'Uniform' is called uniform here"]),
    ("compare BPR", 2, ["'BPR' is called bpr here"]),
    ("compare in-batch", 2, ["'in-batch' is called inbatch here"]),
    ("compare in_batch", 2, ["'in_batch' is called inbatch here"]),
    ("compare hard_inbatch", 2, ["'hard_inbatch' is called hard-inbatch here"]),
    ("compare popular", 2, ["'popularity'"]),
    ("compare most-popular", 2, ["'popularity'"]),
    ("compare SSM", 2, ["'SSM' is called infonce here"]),
    ("compare PNS", 2, ["'PNS' is called popularity here"]),
    ("compare cross-entropy", 2, ["'cross-entropy' is called softmax here"]),
    ("compare WMF", 2, ["'WMF' is called"]),
    ("compare Zipfian", 2, ["'Zipfian' is called log-uniform here"]),
    ("compare SimpleX", 2, ["'SimpleX' is called ccl here"]),
    ("compare YouTubeDNN", 2, ["'YouTubeDNN' is called history:gamma=0,separate=true,linear=false,hidden=2 here"]),
    ("compare uniform --model histroy", 2, ["'histroy'", "Did you mean 'history'?"]),
    ("compare uniform+bpr+history:gamma=2", 2, ["gamma must be a number >= 0, <= 1", "'2'"]),
    ("compare uniform+bpr+history:pool=max", 2, ["pool must be mean or attention", "'max'"]),
    ("compare uniform+bpr+history:length=0", 2, ["length must be a whole number >= 1 or none", "'0'"]),
    ("compare uniform+wrmf+history:leave_out=true", 2, ["wrmf reads whole tables", "a user of its own for each row"]),
    ("compare qqqqqqqq", 2, ["'qqqqqqqq'", "bench list"], ["Did you mean"]),
    ("compare all", 2, ["'all'", "bench list"]),
    ("compare ''", 2, ["empty"]),
    ("compare uniform+", 2, ["'uniform+'", "uniform+softmax"]),
    ("compare +bpr", 2, ["'+bpr'", "uniform+softmax"]),
    ("compare uniform++bpr", 2, ["'uniform++bpr'", "uniform+softmax"]),
    ("compare uniform,popularity", 2, ["'uniform,popularity'", "blanks"]),
    ("compare 'uniform popularity'", 2, ["'uniform popularity'", "blanks"]),
    ("compare uniform popularity uniform", 2, ["'uniform'", "once"]),
    ("compare uniform uniform+bpr", 2, ["'uniform' and 'uniform+bpr' mean the same cell"]),
    ("compare uniform bpr", 2, ["'uniform' and 'bpr' mean the same cell"]),
    ("compare uniform uniform:negatives=16", 2, ["mean the same cell"]),
    ("compare uniform popularity:alpha=0", 0, ["popularity:alpha=0"]),
    ("compare uniform+popularity", 2, ["'uniform+popularity'", "two samplers"]),
    ("compare bpr+softmax", 2, ["two losses"]),
    ("compare uniform+bpr+mf+lightgcn", 2, ["two models"]),
    ("compare uniform+toppop", 2, ["baseline"]),
    ("compare toppop+bpr", 2, ["baseline"]),
    ("compare uniform+softmx", 2, ["'softmx'", "'softmax'"]),
    ("compare uniform --loss bpr --loss bpr", 2, ["once"]),
    ("compare uniform+bpr --loss softmax", 2, ["softmax", "uniform+bpr", "ignored"]),
    ("run --sampler uniform --sampler uniform", 2, ["once"]),
    ("run --sampler unifrom", 2, ["'unifrom'", "'uniform'"]),
    ("run --sampler bpr", 2, ["'bpr'", "--loss bpr"]),
    ("run --loss uniform", 2, ["'uniform'", "--sampler uniform"]),
    ("run --model bpr", 2, ["'bpr'", "--loss bpr"]),
    ("run --loss lightgcn", 2, ["'lightgcn'", "--model lightgcn"]),
    ("run --sampler toppop", 2, ["'toppop'", "baseline"]),
    ("run --model toppop", 2, ["'toppop'", "baseline"]),
    ("run --model LightGCN --sampler uniform", 2, ["is called lightgcn here"]),
    ("run --loss SSM --sampler uniform", 2, ["is called infonce here"]),
    ("run --sampler uniform,popularity", 2, ["uniform,popularity", "repeat"]),
    ("compare ml-100k", 2, ["--dataset ml-100k"]),
    ("compare ml-1m uniform", 2, ["--dataset ml-1m"]),
    ("compare ratings.csv uniform", 2, ["--dataset ratings.csv"]),
    ("compare ./ratings.csv", 2, ["--dataset ./ratings.csv"]),
    ("compare uniform ndcg@10", 2, ["--metric ndcg@10"]),
    ("compare uniform epochs=3", 2, ["--set epochs=3"]),
    ("compare uniform seeds=3", 2, ["--seeds 3"]),
    ("compare uniform 5", 2, ["'5'"], ["Did you mean"]),
    ("compare run", 2, ["'run'", "bench list"]),
]

OPTIONS: list[Case] = [
    ("compare popularity:alpha", 2, ["'alpha'", "name=value"]),
    ("compare popularity:0.5", 2, ["'0.5'", "name=value"]),
    ("compare popularity:alpha=", 2, ["alpha", "a number >= -4, <= 4"]),
    ("compare popularity:alpha=abc", 2, ["alpha must be a number >= -4, <= 4, not 'abc'"]),
    ("compare popularity:alpha=9", 2, ["alpha", "<= 4", "'9'"]),
    ("compare popularity:alpha=nan", 2, ["alpha", "'nan'"]),
    ("compare popularity:alpha=inf", 2, ["alpha", "'inf'"]),
    ("compare popularity:alpha=0.5,alpha=0.7", 2, ["alpha twice"]),
    ("compare popularity:alpha=0,5", 2, ["'5'", "name=value"]),
    ("compare popularity:alpah=0.5", 2, ["'alpah'", "'alpha'"]),
    ("compare popularity:Alpha=0.5", 2, ["'Alpha'", "'alpha'"]),
    ("compare popularity:reject=maybe", 2, ["reject", "true or false", "'maybe'"]),
    ("compare popularity:negatives=0", 2, ["negatives", ">= 1", "'0'"]),
    ("compare popularity:negatives=1.5", 2, ["negatives", "whole number", "'1.5'"]),
    ("compare uniform:alpha=0.5", 2, ["uniform has no option alpha", "popularity"]),
    ("compare uniform:temperature=0.5", 2, ["uniform has no option temperature", "softmax"]),
    ("compare uniform:lr=0.1", 2, ["'lr'", "learning_rate"], ["'l2'"]),
    ("compare uniform:dim=32", 2, ["'dim'", "embedding_size"]),
    ("compare uniform:negatives=all", 2, ["uniform has no negatives=all"]),
    ("compare dns:pool=-1", 2, ["pool", ">= 1", "'-1'"]),
    ("compare dns:pool=8,epochs=", 2, ["epochs", "whole number"]),
    ("compare dns:poolsize=8", 2, ["'poolsize'", "'pool'"]),
    ("compare softmax:temperature=0", 2, ["temperature", "> 0", "'0'"]),
    ("compare softmax:temp=0.5", 2, ["'temp'", "'temperature'"]),
    ("compare softmax:tau=0.5", 2, ["'tau'", "'temperature'"]),
    ("compare softmax:logq=yes", 2, ["logq", "'yes'"]),
    ("compare inbatch:mask=all", 2, ["mask", "'all'", "same-item"]),
    ("compare lightgcn:layers=-1", 2, ["layers", "'-1'"]),
    ("compare toppop:alpha=1", 2, ["toppop has no option alpha"]),
    ("compare toppop:epochs=3", 2, ["toppop", "epochs"]),
    ("compare uniform:epochs=3,epochs=4", 2, ["epochs twice"]),
    ("compare uniform:epochs=3+bpr:epochs=4", 2, ["epochs twice"]),
    ("compare 'uniform: epochs=3'", 0, ["epochs"]),
    ("compare uniform:", 0, ["uniform"]),
    ("compare uniform+gbce:t=2", 2, ["gbce", "'t"]),
]


@table(NAMES)
def test_a_name_that_means_nothing_is_told_what_it_may_mean(
    words: str, code: int, must: list[str], must_not: list[str], here: Path
) -> None:
    check(ask(f"{words} --dataset ratings.csv --dry-run"), code, must, must_not)


@table(OPTIONS)
def test_an_option_of_a_method_is_told_its_values(
    words: str, code: int, must: list[str], must_not: list[str], here: Path
) -> None:
    check(ask(f"{words} --dataset ratings.csv --dry-run"), code, must, must_not)
