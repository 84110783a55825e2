"""Examples in docstrings: that there are some, and that they come out as written."""

from __future__ import annotations

import doctest
from types import ModuleType


def check(module: ModuleType, **given: object) -> None:
    """Run the examples of a module, with `given` names known, and hold every public docstring to having one."""
    runner = doctest.DocTestRunner()
    found = doctest.DocTestFinder(exclude_empty=False).find(module, extraglobs=given)
    public = [test for test in found if test.name != module.__name__ and "._" not in test.name]
    assert public
    assert [test.name for test in public if not test.examples] == []
    for test in found:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
