"""`bench` and `python -m bench`: the one way in, guarded from before anything is imported to the last flush."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType


def main() -> None:
    """Run the command line; whatever a user can do ends in a sentence and an exit code, never in a traceback."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with suppress(ValueError):  # only the first thread may
                signal.signal(signal.SIGINT, interrupted)
        code = _run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:  # also while modules are still being imported
        code = 130
    except ModuleNotFoundError as error:
        code = _without(str(error.name))
    except BrokenPipeError:
        code = 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        code = _complain(f"The system refused: {place}{error.strerror or error}; see to that and try again.")
    except UnicodeError as error:
        code = _complain(f"This locale cannot write a name ({error}); set PYTHONUTF8=1 and try again.")
    except MemoryError:
        code = _complain("There is not enough memory; use fewer --jobs, a smaller data set, or another machine.")
    _forget_stdout()
    sys.exit(code)


def interrupted(number: int, frame: FrameType | None) -> None:
    """Ctrl-C; a moment later where Python would lose it, in a callback of its import system.

    Raises:
        KeyboardInterrupt: elsewhere.
    """
    if frame is None or (frame.f_code.co_name, frame.f_code.co_filename) != ("cb", "<frozen importlib._bootstrap>"):
        raise KeyboardInterrupt
    threading.Timer(0.01, os.kill, (os.getpid(), number)).start()


def _run() -> int:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # what an ASCII locale cannot say, a ± or a name, is escaped
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    import typer

    from bench.cli.complete import rejoin
    from bench.cli.main import command
    from datasets.errors import UserError

    if _completing():
        rejoin()
    try:
        code = command()(standalone_mode=False, prog_name="bench")
    except UserError as error:
        return _complain(str(error))
    except typer.TyperException as error:
        from bench.cli.hints import explained

        return _complain(explained(error))
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _without(package: str) -> int:
    """Say that a package is missing, or all that is wrong, where that was asked for."""
    if sys.argv[1:2] == ["doctor"]:
        from bench.doctor.report import code, examine, shown

        lines = examine()
        sys.stdout.write(shown(lines, "json" in sys.argv) + "\n")
        return code(lines)
    return _complain(
        f"{package} is not installed for {sys.executable}; run `make install` in the project and use its "
        ".venv/bin/bench, or see `bench doctor`."
    )


def _completing() -> bool:
    """Whether a shell asks what may follow, in the middle of what is typed, where no sentence may stand."""
    return "_BENCH_COMPLETE" in os.environ


def _complain(sentence: str) -> int:
    if _completing():
        return 2
    with suppress(OSError, AttributeError):  # stderr may be closed too
        sys.stderr.write(sentence.replace("\n", " ") + "\n")
    return 2


def _forget_stdout() -> None:
    """Let the interpreter's own last flush find nothing to fail at."""
    with suppress(OSError, ValueError):
        if sys.stdout is not None:
            sys.stdout.flush()
        return
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
