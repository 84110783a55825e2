"""The grammar of a name with options, `popularity:alpha=0.5,negatives=4`, wherever such a thing is written."""

from __future__ import annotations


def named(text: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The name, and each option as (key, value); the value of an option without `=` is None."""
    name, _, rest = text.partition(":")
    parts = (part.partition("=") for part in rest.split(",") if part)
    return name.strip(), [(key.strip(), value if equals else None) for key, equals, value in parts]


def with_option(text: str, key: str, value: str) -> str:
    """The text with one option more at the end of its last name."""
    return f"{text}{',' if ':' in text.rpartition('+')[2] else ':'}{key}={value}"
