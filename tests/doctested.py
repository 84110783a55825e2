"""Examples in docstrings: that there are some, and that they come out as written."""

from __future__ import annotations

import doctest
import inspect
import sys
from collections.abc import Iterable
from functools import cached_property
from types import ModuleType


def check(module: ModuleType, **given: object) -> None:
    """Run the examples of a module, with `given` names known, and hold every public docstring to having one."""
    found = doctest.DocTestFinder(exclude_empty=False).find(module, extraglobs=given)
    run([test for test in found if test.name != module.__name__])


def check_exported(package: ModuleType, **given: object) -> None:
    """The same for all that a package has in `__all__`: functions, and classes with their methods."""
    found: list[doctest.DocTest] = []
    for name in package.__all__:
        one = getattr(package, name)
        if not inspect.isclass(one) and not inspect.isfunction(one):
            assert type(one).__name__ in package.__all__, f"nothing says what {name} is"
            continue
        home = sys.modules[one.__module__]
        finder = doctest.DocTestFinder(exclude_empty=False)
        fields = {f"{package.__name__}.{name}.{field}" for field in getattr(one, "__dataclass_fields__", ())}
        tests = finder.find(one, f"{package.__name__}.{name}", module=home, extraglobs=given)
        found += [test for test in tests if test.name not in fields]
        for member, value in vars(one).items():
            if isinstance(value, cached_property):  # which the finder overlooks
                parts = (value.__doc__ or "", {**vars(home), **given}, f"{package.__name__}.{name}.{member}")
                found.append(doctest.DocTestParser().get_doctest(*parts, None, None))
    run(found)


def run(found: Iterable[doctest.DocTest]) -> None:
    """Run examples; those of a method go on from those of its class."""
    runner, known = doctest.DocTestRunner(), dict[str, dict[str, object]]()
    public = [test for test in sorted(found) if "._" not in test.name]
    assert public
    without = [test.name for test in public if not test.examples]
    assert not without, without
    for test in public:
        test.globs |= known.get(test.name.rpartition(".")[0], {})
        runner.run(test, clear_globs=False)
        known[test.name] = test.globs
    assert runner.summarize(verbose=False).failed == 0
