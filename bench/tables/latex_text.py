"""Any text in the characters that pdflatex and its usual fonts can set."""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "·": r"$\cdot$",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "ı": r"\i{}",
}
_MATH = {
    "±": r"\pm",
    "²": "^2",
    "³": "^3",
    "×": r"\times",
    "÷": r"\div",
    "≥": r"\geq",
    "≤": r"\leq",
    "≠": r"\neq",
    "≈": r"\approx",
    "∞": r"\infty",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "∈": r"\in",
    "√": r"\surd",
    "∑": r"\sum",
    "°": r"^\circ",
    "µ": r"\mu",
    "⁺": "^+",
    "⁻": "^-",
    "ε": r"\varepsilon",
    "ϵ": r"\epsilon",
    "φ": r"\varphi",
    "ϕ": r"\phi",
    "ς": r"\varsigma",
    "ϑ": r"\vartheta",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_CYRILLIC = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюя",
        "a b v g d e zh z i i k l m n o p r s t u f kh ts ch sh shch - y - e yu ya".replace("-", "").split(" "),
        strict=True,
    )
)
# Greek letters that look like Latin ones have no command; omicron neither.
_GREEK = {
    "alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi",
    "rho", "sigma", "tau", "upsilon", "chi", "psi", "omega",
}  # fmt: skip
_GREEK_CAPITALS = {"gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega"}


def escape(text: str) -> str:
    """The text in ASCII: what means something to LaTeX written out, symbols in math, other letters by their names.

    Accents stay where LaTeX's fonts have them; Cyrillic is spelt in Latin letters, and letters of other alphabets
    become the names that Unicode gives them; a character without a letter's name is written as its number, [U+6F22].
    """
    text = re.sub(r'"([^"]*)"', "“\\1”", unicodedata.normalize("NFC", text))
    return "".join(map(_one, text))


def _one(char: str) -> str:
    if char in _SPECIAL:
        return _SPECIAL[char]
    if char in _MATH:
        return f"${_MATH[char]}$"
    if char.isascii():
        return char if char.isprintable() else " "
    name = unicodedata.name(char, "")
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", name)
    if greek and greek[2].lower() in (_GREEK if greek[1] == "SMALL" else _GREEK_CAPITALS):
        return f"$\\{greek[2].lower() if greek[1] == 'SMALL' else greek[2].capitalize()}$"
    parts = unicodedata.normalize("NFKD", char)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        base = rf"\{parts[0]}" if parts[0] in "ij" else parts[0]
        return rf"\{_ACCENTS[parts[1]]}{{{base}}}"
    if parts != char and not name.startswith("HANGUL"):  # a ligature, a wide form, an accent that the fonts lack
        return "".join(_one(part) for part in parts if not unicodedata.combining(part))
    if char.lower() in _CYRILLIC:
        sound = _CYRILLIC[char.lower()]
        return sound if char.islower() else sound.capitalize()
    letter = re.fullmatch(r"[\w ]*?(SMALL|CAPITAL)? ?LETTER ([\w -]+)", name)
    if letter:
        word = letter[2].partition(" WITH ")[0].rpartition(" ")[2].lower()
        return word.capitalize() if letter[1] == "CAPITAL" else word
    return "" if unicodedata.combining(char) else f"[U+{ord(char):04X}]"
