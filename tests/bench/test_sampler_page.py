import pytest

from bench.comparison.advice import law_is_lost
from bench.pages import defaults, losses, samplers
from bench.pages.samplers import PAGE, registry_part, replaced, table_part
from bench.runs.spec import CODE_PROTOCOL, check_distinct, incompatibility, parse_cell
from recmodels.compatibility import asks, reads_features
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.samplers import SAMPLERS


def test_the_page_says_what_the_registry_says():
    """If this fails, run `python -m bench.pages.samplers`."""
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page, "registry", registry_part()) == page
    for name, entry in SAMPLERS.entries.items():
        assert f"### {name}\n" in page
        assert entry.facts["paper"] in page


def test_the_page_has_a_row_for_every_sampler():
    table = PAGE.read_text(encoding="utf-8").partition("<!-- table -->")[2].partition("<!-- /table -->")[0]
    rows = {line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")}
    assert set(samplers.samplers()) <= rows


def row(name, mean, sampler="", loss="", **diagnostics):
    ci = [None, None] if mean is None else [mean, mean + 0.01]
    metrics = {"ndcg@10": {"mean": mean, "ci": ci, "std_seeds": None}}
    return {"name": name, "sampler": sampler, "loss": loss, "metrics": metrics, "diagnostics": diagnostics,
            "train_seconds": 3.2, "epochs": 7.0, "runs": ["a", "b"]}  # fmt: skip


def comparison(*rows):
    skipped = [{"sampler": "dns", "loss": "softmax", "reason": "no law"}]
    about = {"metric": "ndcg@10", "dataset": "ml-100k", "data": {"verified": True}, "seeds": [0, 1]}
    return about | {"rows": rows, "failed": [], "skipped": skipped}


def lines_of(text):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def test_a_sampler_is_shown_with_a_loss_that_uses_no_law_and_one_that_does():
    rows = [
        row("popularity+bpr", 0.1, "popularity", "bpr", false_negatives=0.0123),
        row("popularity+softmax", 0.4, "popularity", "softmax", false_negatives=0.9),
        row("dns+bpr", 0.3, "dns", "bpr", popularity=1.5),
        row("dns+infonce", None, "dns", "infonce"),
        row("toppop", 0.2),
    ]
    text = table_part(comparison(*rows))
    head, _, first, second, last = lines_of(text)
    assert first[:6] == ["popularity", "0.1000", "0.1000 – 0.1100", "softmax", "0.4000", "0.4000 – 0.4100"]
    assert second[:6] == ["toppop", "0.2000", "0.2000 – 0.2100", "–", "0.2000", "0.2000 – 0.2100"]
    assert last[:6] == ["dns", "0.3000", "0.3000 – 0.3100", "infonce", "–", "– – –"]
    assert first[head.index("false negatives, %")] == "1.23"
    assert last[head.index("false negatives, %")] == "–"
    assert "$(python -m bench.pages.samplers --cells) --dataset ml-100k --seeds 2 " in text
    assert f"Code protocol {CODE_PROTOCOL}." in text


@pytest.mark.parametrize("cells", [samplers.cells(), losses.cells()])
def test_the_cells_of_a_page_are_all_methods_and_can_be_trained(cells):
    parsed = [parse_cell(cell, {}) for cell in cells]
    assert [incompatibility(cell) for cell in parsed] == [None] * len(cells)
    check_distinct(parsed)
    assert {cell.sampler.name for cell in parsed if cell.sampler} == {name for name in SAMPLERS if not asks(name)}
    lost = [cell.sampler.name for cell in parsed if cell.sampler and law_is_lost(cell) and cell.loss.name != "bpr"]
    assert lost == []


def test_the_cells_of_the_losses_are_every_sampler_loss_and_model():
    parsed = [parse_cell(cell, {}) for cell in losses.cells() + losses.asking()]
    assert [incompatibility(cell) for cell in parsed] == [None] * len(parsed)
    for kind, registry in (("sampler", SAMPLERS), ("loss", LOSSES), ("model", MODELS)):
        wanted = {name for name in registry if kind != "model" or not reads_features(name)}  # few data have features
        assert {cell.labels()[kind] for cell in parsed} >= wanted


def test_methods_are_shown_with_defaults_and_recommended_settings():
    names = ["uniform+lambdarank", "toppop"]
    defaults, recommended = (comparison(*map(row, names, values)) for values in ((0.1, 0.3), (0.4, 0.3)))
    text = losses.methods_part(defaults, recommended)
    told = "`l2=0.0003` (lambdarank: validation on ml-100k)"
    assert lines_of(text)[2:] == [
        ["uniform+lambdarank", "0.1000", "0.4000", "0.4000 – 0.4100", told],
        ["toppop", "0.3000", "0.3000", "0.3000 – 0.3100", "–"],
    ]
    assert text.count("```") == 2
    assert "--seeds 2 --recommended " in text


def test_methods_that_need_negatives_of_the_data_are_shown_with_the_rating_that_gives_them():
    text = losses.asked_part(comparison(row("toppop", 0.1), row("given+softmax", 0.2)))
    assert [line[:3] for line in lines_of(text)[2:]] == [
        ["given+softmax", "0.2000", "0.2000 – 0.2100"],
        ["toppop", "0.1000", "0.1000 – 0.1100"],
    ]
    assert f"--asking) --dataset ml-100k --seeds 2 --min-rating {losses.RATED} --recommended " in text


def test_defaults_are_shown_against_popularity():
    sets = [comparison(row("toppop", 0.2), row("uniform+bpr", value, "uniform", "bpr")) for value in (0.3, 0.1)]
    sets[1]["dataset"] = "other"
    assert lines_of(defaults.defaults_part(sets)) == [
        ["", "ml-100k", "other"],
        ["---", "---", "---"],
        ["toppop", "0.2000", "0.2000"],
        ["uniform+bpr", "0.3000", "0.1000 ↓"],
    ]


def test_the_page_of_defaults_names_what_is_not_verified():
    sets = [comparison(row("toppop", 0.2)) for _ in range(2)]
    sets[1] |= {"dataset": "other", "data": {"verified": False}}
    text = defaults.defaults_part(sets)
    assert "not verified: other." in text
    assert "make defaults ARGS=--unverified" in text


@pytest.mark.parametrize(("module", "mark"), [(losses, "methods"), (losses, "asked"), (defaults, "defaults")])
def test_a_page_has_one_place_for_its_table(module, mark):
    page = module.PAGE.read_text(encoding="utf-8")
    assert page.count(f"<!-- {mark} -->") == page.count(f"<!-- /{mark} -->") == 1


def test_only_what_is_between_the_marks_is_replaced():
    page = "before <!-- a --> old <!-- /a --> after <!-- b --> kept <!-- /b -->"
    assert replaced(page, "a", "new") == "before <!-- a -->\n\nnew\n\n<!-- /a --> after <!-- b --> kept <!-- /b -->"
