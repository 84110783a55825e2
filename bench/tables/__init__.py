"""What turns a `Comparison` into a terminal table, Markdown, LaTeX, HTML, CSV, JSON and figures."""

FORMATS = ("table", "markdown", "latex", "html", "csv", "json")
