from bench.sampler_page import PAGE, registry_part, replaced, table_part
from recmodels.samplers import SAMPLERS


def test_the_page_says_what_the_registry_says():
    """If this fails, run `python -m bench.sampler_page`."""
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page, "registry", registry_part()) == page
    for name, entry in SAMPLERS.entries.items():
        assert f"### {name}\n" in page
        assert entry.facts["paper"] in page


def test_the_page_has_a_row_for_every_sampler():
    table = PAGE.read_text(encoding="utf-8").partition("<!-- table -->")[2].partition("<!-- /table -->")[0]
    rows = {line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")}
    assert set(SAMPLERS) <= rows


def test_table_is_sorted_and_shows_missing_values():
    def row(name, mean, diagnostics):
        ci = [None, None] if mean is None else [mean, mean + 0.01]
        metrics = {"ndcg@10": {"mean": mean, "ci": ci, "std_seeds": None}}
        return {"name": name, "metrics": metrics, "diagnostics": diagnostics, "train_seconds": 3.2, "epochs": 7.0}

    rows = [row("low", 0.1, {"false_negatives": 0.0123}), row("high", 0.2, {"popularity": 1.5})]
    lines = table_part({"metric": "ndcg@10", "rows": rows}).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["high", "low"]
    assert "| 1.23 |" in lines[3]
    assert "| – |" in lines[2]


def test_only_what_is_between_the_marks_is_replaced():
    page = "before <!-- a --> old <!-- /a --> after <!-- b --> kept <!-- /b -->"
    assert replaced(page, "a", "new") == "before <!-- a -->\n\nnew\n\n<!-- /a --> after <!-- b --> kept <!-- /b -->"
