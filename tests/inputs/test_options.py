"""Options and commands: misspelt, left out, out of range, given twice, or of another command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.asking import Case, ask, check, table

SEEDS: list[Case] = [
    ("--seeds x", 2, ["--seeds x", "5", "10-14", "3,7"]),
    ("--seeds 0", 2, ["--seeds 0", "count"]),
    ("--seeds=-1", 2, ["-1", "count"]),
    ("--seeds ''", 2, ["--seeds", "count"]),
    ("--seeds 1.5", 2, ["--seeds 1.5"]),
    ("--seeds 10-", 2, ["--seeds 10-"]),
    ("--seeds 14-10", 2, ["--seeds 14-10", "10-14"]),
    ("--seeds 1-2-3", 2, ["--seeds 1-2-3"]),
    ("--seeds 3,3", 2, ["--seeds 3,3", "twice"]),
    ("--seeds 3,x", 2, ["--seeds 3,x"]),
    ("--seeds '3;7'", 2, ["--seeds 3;7"]),
    ("--seeds '3, 7'", 0, ["2 seeds"]),
    ("--seeds 7,3", 0, ["2 seeds"]),
    ("--seeds 1000000000", 2, ["1000000000", "seeds", "10000"]),
    ("--seeds 0-1000000000", 2, ["1000000000", "seeds", "10000"]),
    ("--seeds 99999999999999999999", 2, ["99999999999999999999"]),
]

METRICS: list[Case] = [
    ("--metric ndgc@10", 2, ["'ndgc@10'", "Did you mean 'ndcg@10'?"]),
    ("--metric NDCG@10", 2, ["'NDCG@10'", "Did you mean 'ndcg@10'?"]),
    ("--metric HR@20", 2, ["Did you mean 'hr@20'?"]),
    ("--metric ndcg", 2, ["'ndcg'", "ndcg@10"]),
    ("--metric ndcg@", 2, ["'ndcg@'", "ndcg@10"]),
    ("--metric ndcg@0", 2, ["'ndcg@0'", "ndcg@10"]),
    ("--metric ndcg@ten", 2, ["'ndcg@ten'"]),
    ("--metric ndcg10", 2, ["'ndcg10'", "'ndcg@10'"]),
    ("--metric hit@10", 2, ["'hit@10'", "'hr@10'"]),
    ("--metric hitrate@10", 2, ["'hr@10'"]),
    ("--metric precision@10", 2, ["'precision@10'", "recall@10"], ["Did you mean"]),
    ("--metric map@10", 2, ["'map@10'", "mrr@10"]),
    ("--metric auc", 2, ["'auc'", "ndcg@10"]),
    ("--metric ''", 2, ["metric", "ndcg@10"]),
    ("--metric recall@50", 0, ["cells"]),
    ("--metric ndcg@99999999", 2, ["10000", "ndcg@10"]),
    ("--cutoffs 0", 2, ["--cutoffs 0", "1 to 10000"]),
    ("--cutoffs x", 2, ["--cutoffs x", "5,10,20"]),
    ("--cutoffs ''", 2, ["--cutoffs", "5,10,20"]),
    ("--cutoffs '5;10'", 2, ["5;10", "5,10,20"]),
    ("--cutoffs 5,,10", 2, ["5,,10"]),
    ("--cutoffs 1.5", 2, ["1.5"]),
    ("--cutoffs 99999", 2, ["99999", "10000"]),
    ("--cutoffs @10", 2, ["@10", "5,10,20"]),
    ("--cutoffs 5,5", 2, ["5,5", "once"]),
]

TESTS: list[Case] = [
    ("--test anova", 2, ["'anova'", "crossed"]),
    ("--test ttest", 2, ["'ttest'", "'t'"]),
    ("--test Wilcoxon", 2, ["'wilcoxon'"]),
    ("--test crossed --seeds 1", 0, ["cells"]),
    ("--alternative grater", 2, ["Did you mean 'greater'?"]),
    ("--alternative two_sided", 2, ["'two-sided'"]),
    ("--correction bonferonni", 2, ["'bonferroni'"]),
    ("--correction fdr", 2, ["'fdr'", "'bh'"]),
    ("--correction Holm", 2, ["'holm'"]),
    ("--alpha 0", 2, ["alpha", "0", "1"]),
    ("--alpha 1", 2, ["alpha", "1"]),
    ("--alpha 5", 2, ["alpha", "0.05"]),
    ("--alpha=-0.1", 2, ["alpha", "-0.1"]),
    ("--alpha nan", 2, ["alpha", "nan"]),
    ("--alpha abc", 2, ["--alpha", "'abc'"]),
    ("--alpha 0,05", 2, ["--alpha", "'0,05'"]),
    ("--alpha 5%", 2, ["--alpha", "'5%'"]),
    ("--baseline bce", 2, ["'bce'", "uniform"]),
    ("--baseline popularty", 2, ["Did you mean 'popularity'?"]),
    ("--baseline ''", 2, ["uniform"]),
]

SPLITS: list[Case] = [
    ("--split leave-one-out", 2, ["'leave-one-out'", "'leave-last-one-out'"]),
    ("--split loo", 2, ["'loo'", "'leave-last-one-out'"]),
    ("--split random", 2, ["'random'", "ratio"]),
    ("--split temporal", 2, ["'temporal'", "'global-time'"]),
    ("--split 80/20", 2, ["'80/20'", "ratio"]),
    ("--split 0.8", 2, ["'0.8'", "ratio"]),
    ("--split ratio:test=2", 2, ["ratio:test", "'2'", "a share from 0"]),
    ("--split ratio:test=20%", 2, ["'20%'", "a share from 0"]),
    ("--split ratio:test=0.9,valid=0.9", 2, ["test + valid", "below 1"]),
    ("--split ratio:test=", 2, ["ratio:test", "a share from 0"]),
    ("--split ratio:0.2", 2, ["ratio", "test=0.2"]),
    ("--split ratio:tset=0.2", 2, ["'tset'", "'test'"]),
    ("--split ratio:order=date", 2, ["'date'", "time"]),
    ("--split ratio:test=0", 2, ["test"]),
    ("--split ''", 2, ["leave-last-one-out"]),
    ("--split given", 2, ["ratings.csv", "train"]),
    ("--split-seed x", 2, ["--split-seed", "'x'"]),
    ("--split-seed=-1", 2, ["-1"]),
    ("--min-rating abc", 2, ["--min-rating", "'abc'"]),
    ("--min-rating nan", 2, ["nan"]),
    ("--min-rating 99", 2, ["no interactions", "min_rating"]),
    ("--k-core=-1", 2, ["-1", "10,5"]),
    ("--k-core x", 2, ["--k-core x", "10,5"]),
    ("--k-core 1,2,3", 2, ["1,2,3", "10,5"]),
    ("--k-core 5.5", 2, ["5.5", "10,5"]),
    ("--k-core 500", 2, ["no interactions", "k_core"]),
    ("--min-user-count=-1", 2, ["--min-user-count"]),
    ("--sample-users=-1", 2, ["--sample-users"]),
    ("--sample-users 4000", 2, ["4,000", "40"]),
    ("--duplicates keep", 2, ["'keep'", "last"]),
    ("--candidates sampled", 2, ["'sampled'", "sampled:99"]),
    ("--candidates sampled:0", 2, ["'sampled:0'", "sampled:99"]),
    ("--candidates samples:99", 2, ["'samples:99'", "sampled:99"]),
    ("--candidates 99", 2, ["'99'", "sampled:99"]),
    ("--candidates given", 2, ["candidate lists", "sampled:99"]),
    ("--candidates sampled:99999", 2, ["99999", "47"]),
    ("--mask all", 2, ["'all'", "known"]),
    ("--mask test", 2, ["'test'", "known"]),
    ("--mask train --candidates sampled:9", 2, ["mask=train"]),
    ("--expect-sampled 0", 2, ["--expect-sampled"]),
    ("--expect-sampled 5 --candidates sampled:5", 2, ["expected over sampled", "candidates"]),
    ("--columns foo", 2, ["'foo'", "user"]),
    ("--columns user", 2, ["'item'", "user,item,rating"]),
    ("--columns user,user,item", 2, ["'user' twice"]),
    ("--columns user=uid,item=item", 2, ["'uid'", "user"]),
    ("--columns user,item,rating,timestamp,extra", 2, ["'extra'"]),
    ("--columns user,item,rating,timestamp,-", 2, ["4 columns", "5"]),
    ("--columns ''", 2, ["--columns"]),
]

RUNNING: list[Case] = [
    ("--jobs 0", 2, ["--jobs", "1"]),
    ("--jobs x", 2, ["--jobs", "'x'"]),
    ("--jobs 1.5", 2, ["--jobs", "'1.5'"]),
    ("--cell-timeout=-1", 2, ["--cell-timeout"]),
    ("--cell-timeout abc", 2, ["--cell-timeout", "'abc'"]),
    ("--cell-timeout nan", 2, ["--cell-timeout", "nan"]),
    ("--cell-timeout 0", 2, ["--cell-timeout", "0"]),
    ("--device gpu", 2, ["--device gpu", "cuda"]),
    ("--device mps", 2, ["--device mps", "cpu"]),
    ("--device cuda:x", 2, ["--device cuda:x", "cuda:1"]),
    ("--device CPU", 2, ["--device CPU", "cpu"]),
    ("--format jsn", 2, ["'jsn'", "'json'"]),
    ("--format md", 2, ["'md'", "'markdown'"]),
    ("--format tex", 2, ["'tex'", "'latex'"]),
    ("--format JSON", 2, ["'JSON'", "'json'"]),
    ("--format xlsx", 2, ["'xlsx'", "csv"]),
    ("--view rose", 2, ["'rose'", "pairs"]),
    ("--view pair", 2, ["'pair'", "'pairs'"]),
    ("--view equivalence", 2, ["--margin"]),
    ("--view equivalence --margin=-1", 2, ["margin", "-1"]),
    ("--view equivalence --margin nan", 2, ["margin", "nan"]),
    ("--margin 0.1", 2, ["--margin", "equivalence"]),
    ("--view pairs --diagnostics", 2, ["--diagnostics", "--view"]),
    ("--groups activity", 2, ["--view groups"]),
    ("--view groups --groups popularty", 2, ["'popularity'"]),
    ("--caption long", 2, ["'long'", "full"]),
    ("--profile --cluster tcp://127.0.0.1:1", 2, ["--profile", "--cluster"]),
    ("--profile --format csv", 2, ["--profile", "csv"]),
    ("--results ratings.csv", 2, ["ratings.csv", "results folder"]),
    ("--out out.xlsx", 2, ["out.xlsx", ".csv"]),
    ("--out out.pdf", 2, ["out.pdf", ".html"]),
    ("--out .", 2, ["folder"]),
    ("--out ratings.csv/x.csv", 2, ["ratings.csv/x.csv"]),
    ("--figures ratings.csv", 2, ["ratings.csv", "--figures"]),
]

DATASETS: list[Case] = [
    ("--dataset ml-10k", 2, ["'ml-10k'", "Did you mean 'ml-100k'?"]),
    ("--dataset ML-100K", 2, ["Did you mean 'ml-100k'?"]),
    ("--dataset ml100k", 2, ["Did you mean 'ml-100k'?"]),
    ("--dataset movielens", 2, ["'movielens'", "ml-100k"]),
    ("--dataset movielens-1m", 2, ["'ml-1m'"]),
    ("--dataset lastfm", 2, ["lastfm"]),
    ("--dataset ''", 2, ["empty"]),
    ("--dataset nope.csv", 2, ["nope.csv", "exists"]),
    ("--dataset ./nope", 2, ["./nope", "exists"]),
    ("--dataset rating.csv", 2, ["rating.csv", "ratings.csv"]),
    ("--dataset .", 2, ["train"]),
    ("--dataset /dev/null", 2, ["/dev/null", "file"]),
    ("--dataset https://example.com/ratings.csv", 2, ["https://example.com/ratings.csv", "download"]),
    ("--dataset uniform", 2, ["'uniform'", "sampler"]),
    ("--dataset ml-1m,ml-100k", 2, ["ml-1m,ml-100k", "repeat"]),
    ("--dataset amazon-2018", 2, ["amazon-2018", "Books"]),
    ("--dataset amazon-2018:Bookz", 2, ["Bookz", "Books"]),
    ("--dataset synthetic:users=x", 2, ["users", "'x'"]),
    ("--dataset synthetic:usres=10", 2, ["'usres'", "'users'"]),
    ("--dataset ml-100k --columns user,item", 2, ["ml-100k", "columns"]),
]

UNKNOWN: list[Case] = [
    ("compare uniform --seed 3", 2, ["--seed", "--seeds"]),
    ("compare uniform --datset ml-1m", 2, ["--datset", "--dataset"]),
    ("compare uniform -d ml-1m", 2, ["-d"]),
    ("compare uniform --epochs 3", 2, ["--epochs", "--set epochs=3"]),
    ("compare uniform --epochs=3", 2, ["--epochs", "--set epochs=3"]),
    ("compare uniform --lr 0.1", 2, ["--lr", "--set learning_rate=0.1"]),
    ("compare uniform --batch-size 64", 2, ["--batch-size", "--set batch_size=64"]),
    ("compare uniform --negatives 4", 2, ["--negatives", "--set negatives=4"]),
    ("compare uniform --topk 10", 2, ["--topk", "--cutoffs"]),
    ("compare uniform -k 10", 2, ["-k"]),
    ("compare uniform --gpu", 2, ["--gpu", "--device"]),
    ("compare uniform --output x.csv", 2, ["--output", "--out"]),
    ("compare uniform --workers 4", 2, ["--workers", "--jobs"]),
    ("compare uniform --metrics hr@10", 2, ["--metrics", "--metric"]),
    ("compare --samplers uniform", 2, ["--samplers", "--sampler"]),
    ("compare uniform --config x.toml", 2, ["--config", "bench run x.toml"]),
    ("compare uniform --verbose", 2, ["--verbose"]),
    ("compare uniform --seeds", 2, ["--seeds", "argument"]),
    ("compare uniform --dataset --seeds 2", 2, ["--dataset"]),
    ("compare uniform --seeds 2 --seeds 3", 2, ["--seeds", "twice"]),
    ("compare uniform --metric hr@10 --metric ndcg@10", 2, ["--metric", "twice"]),
    ("compare uniform --quiet=yes", 2, ["--quiet"]),
    ("table uniform --cluster tcp://127.0.0.1:1", 2, ["--cluster", "bench table"]),
    ("table uniform --jobs 2", 2, ["--jobs", "bench table"]),
    ("table uniform --retry-failed", 2, ["--retry-failed", "bench table"]),
    ("table uniform --keep-embeddings", 2, ["--keep-embeddings", "bench table"]),
    ("table uniform --cell-timeout 5", 2, ["--cell-timeout", "bench table"]),
    ("table uniform --profile", 2, ["--profile", "bench table"]),
    ("power uniform popularity --view pairs", 2, ["--view", "bench power"]),
    ("power uniform popularity --cutoffs 5", 2, ["--cutoffs", "bench power"]),
    ("calibrate uniform --baseline uniform", 2, ["--baseline", "bench calibrate"]),
    ("calibrate uniform --correction bh", 2, ["--correction", "bench calibrate"]),
    ("calibrate uniform --test crossed", 2, ["--test", "bench calibrate"]),
    ("across uniform --view rows", 2, ["--view", "bench across"]),
    ("across uniform --groups activity", 2, ["--groups", "bench across"]),
    ("list samplers --dataset ml-1m", 2, ["--dataset", "bench list"]),
    ("runs list --seeds 3", 2, ["--seeds", "bench runs list"]),
    ("data list --dataset ml-1m", 2, ["--dataset", "bench data list"]),
]

COMMANDS: list[Case] = [
    ("comapre uniform", 2, ["'comapre'", "'compare'"]),
    ("Compare uniform", 2, ["'Compare'", "'compare'"]),
    ("trian uniform", 2, ["'trian'", "bench --help"]),
    ("uniform popularity", 2, ["'uniform'", "bench compare uniform"]),
    ("ml-100k", 2, ["'ml-100k'", "--dataset ml-100k"]),
    ("train uniform", 2, ["'train'", "'run'"]),
    ("evaluate", 2, ["'evaluate'", "bench --help"]),
    ("runs lst", 2, ["'lst'", "'list'"]),
    ("runs ls", 2, ["'ls'", "'list'"]),
    ("runs delete x", 2, ["'delete'", "'rm'"]),
    ("runs remove x", 2, ["'remove'", "'rm'"]),
    ("data download ml-1m", 2, ["'download'", "'fetch'"]),
    ("data ls", 2, ["'ls'", "'list'"]),
    ("run.toml", 2, ["'run.toml'", "bench run run.toml"]),
    ("", 0, ["compare", "data", "runs"]),
    ("help", 0, ["compare", "data", "runs"]),
    ("help compare", 0, ["--dataset", "Example"]),
    ("help comapre", 2, ["'comapre'", "'compare'"]),
    ("--help", 0, ["compare", "bench compare uniform"]),
    ("-h", 0, ["compare"]),
    ("--version", 0, ["contrarec"]),
    ("version", 2, ["'version'", "--version"]),
    ("compare --help", 0, ["--dataset", "Example"]),
    ("run -h", 0, ["--sampler", "Example"]),
    ("table --help", 0, ["--view", "Example"], ["--cluster", "--retry-failed", "--jobs"]),
    ("across --help", 0, ["--dataset", "Example"]),
    ("power --help", 0, ["--difference", "Example"]),
    ("calibrate --help", 0, ["--side", "Example"]),
    ("runs", 0, ["list", "rm", "merge"]),
    ("data", 0, ["list", "fetch", "add"]),
    ("runs help", 2, ["'help'", "bench runs --help"]),
]

LISTS: list[Case] = [
    ("list", 0, ["Samplers", "Losses", "uniform"]),
    ("list sampler", 2, ["Did you mean 'samplers'?"]),
    ("list Losses", 2, ["'losses'"]),
    ("list settings", 0, ["learning_rate", "epochs", "patience", "0.007"]),
    ("list setting", 2, ["'settings'"]),
    ("list learning_rate", 2, ["'learning_rate'", "bench list settings"]),
    ("list lr", 2, ["'lr'", "learning_rate"]),
    ("list softmax", 0, ["temperature", "logq"]),
    ("list SSM", 2, ["is called infonce here"]),
    ("list ml-100k", 2, ["bench data info ml-100k"]),
    ("list ndcg@10", 2, ["metrics"]),
    ("list foo", 2, ["'foo'", "samplers"]),
    ("list metrics", 0, ["ndcg"]),
    ("list --format csv", 2, ["'csv'", "json"]),
    ("list --format json", 0, ['"uniform"']),
    ("list samplers --compatibility", 2, ["samplers", "--compatibility"]),
    ("list samplers losses", 2, ["losses"]),
]

PLANS: list[Case] = [
    ("across uniform popularity", 2, ["two data sets", "--dataset"]),
    ("across uniform --dataset ratings.csv", 2, ["two data sets"]),
    ("across uniform --dataset ratings.csv --dataset ratings.csv", 2, ["ratings.csv", "twice"]),
    ("across uniform --dataset ml-100k --dataset ml-10k", 2, ["'ml-100k'"]),
    ("across uniform --dataset ml-100k --dataset ml-1m --test wilcoxon", 2, ["--test"]),
    ("across --dataset ml-100k --dataset ml-1m", 2, ["Nothing to run"]),
    ("power uniform --dataset ratings.csv", 2, ["two cells"]),
    ("power uniform popularity --power 2", 2, ["power", "2", "0.8"]),
    ("power uniform popularity --power 0", 2, ["power"]),
    ("power uniform popularity --power abc", 2, ["--power", "'abc'"]),
    ("power uniform popularity --power nan", 2, ["power", "nan"]),
    ("power uniform popularity --difference 0", 2, ["difference", "0"]),
    ("power uniform popularity --difference=-1", 2, ["difference", "-1"]),
    ("power uniform popularity --difference nan", 2, ["difference", "nan"]),
    ("power uniform popularity --seeds 1 --dataset ratings.csv", 2, ["seeds", "two"]),
    ("calibrate uniform popularity --dataset ratings.csv", 2, ["one cell"]),
    ("calibrate uniform --side 1", 2, ["--side"]),
    ("calibrate uniform --splits 0", 2, ["--splits"]),
    ("calibrate uniform --side 5 --seeds 4 --dataset ratings.csv", 2, ["--side", "seeds"]),
]


@table(SEEDS + METRICS + TESTS + SPLITS)
def test_a_value_is_told_what_it_may_be(
    words: str, code: int, must: list[str], must_not: list[str], here: Path
) -> None:
    check(ask(f"compare uniform popularity --dataset ratings.csv {words} --dry-run"), code, must, must_not)


@table(RUNNING)
def test_what_could_not_be_run_or_shown_is_told_before_training(
    words: str, code: int, must: list[str], must_not: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = "--seeds 2 --set epochs=1"
    monkeypatch.setenv("BENCH_RESULTS", str(here / "store"))
    check(ask(f"compare uniform popularity --dataset ratings.csv {words} {quick}"), code, must, must_not)
    assert not (here / "store").exists()


@table(DATASETS)
def test_a_data_set_is_found_or_told_where_it_may_be(
    words: str, code: int, must: list[str], must_not: list[str], here: Path
) -> None:
    check(ask(f"compare uniform {words} --dry-run"), code, must, must_not)


@table(UNKNOWN + COMMANDS + LISTS + PLANS)
def test_a_command_is_told_its_options(words: str, code: int, must: list[str], must_not: list[str], here: Path) -> None:
    check(ask(words), code, must, must_not)
