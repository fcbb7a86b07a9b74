"""The `simlab` command: finds the subcommand, turns mistakes into one line, sets the exit code.

Exit codes: 0 done, 1 a verdict FAILed, 2 a mistake in the input or a failure of the machine, 130 stopped
by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP (what was done is saved).

Nothing large is imported above `main`: until it runs a signal leaves as a traceback.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

from simlab.errors import SimlabError

COMMANDS = {
    "predict": ("simlab.cli.predict", "exact numbers for a pair and a decoder"),
    "plan": ("simlab.cli.plan", "how many tokens to draft per target call, and what speed-up to expect"),
    "record": ("simlab.cli.record", "what real language models do: a trace, or decoders that are run"),
    "run": ("simlab.cli.run", "simulate an experiment or a grid, hold it against the theory, draw it"),
    "show": ("simlab.cli.show", "one trajectory step by step: drafted, accepted, replaced, thrown away"),
    "verify": ("simlab.cli.verify", "every theorem as a check on a pair: two independent numbers each"),
    "audit": ("simlab.cli.audit", "is a verifier, yours or a library's, still exact?"),
    "check-policy": ("simlab.cli.check_policy", "can a rule for how much is drafted or verified bias?"),
    "reproduce": ("simlab.cli.reproduce", "every experiment and figure, and the page of them all"),
    "merge": ("simlab.cli.merge", "the ledgers of several machines become one"),
    "report": ("simlab.cli.report", "one page of all results: OUTPUT/report/index.html"),
    "status": ("simlab.cli.status", "what the ledger holds"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. Never shows a traceback for a user's mistake.

    Without arguments it is the process's own command: it takes sys.argv, and the process's streams and
    signals are looked after (`simlab.cli.process`).
    """
    if arguments is not None:
        return _answered(arguments)
    from simlab.cli import process

    process.open_streams()  # first: nothing else may get their numbers
    process.hear_signals()
    process.look_for_garbage_seldom()
    os.environ["PYTHONSAFEPATH"] = "1"  # no process that is started imports from the working folder
    code = _answered(sys.argv[1:])
    process.ignore_signals()
    return code


def _answered(arguments: list[str]) -> int:
    try:
        from simlab.cli.waiting import shown_waiting

        with _one_blas_thread(), shown_waiting():
            code = _dispatch(arguments)
            print(end="", flush=True)
            return code
    except SimlabError as error:
        return _complain(str(error))
    except KeyboardInterrupt as error:
        from simlab.cli.process import Ended

        ended = error if isinstance(error, Ended) else Ended(signal.SIGINT)
        print(f"simlab: {ended}", file=sys.stderr)
        return 128 + ended.number
    except MemoryError as error:
        return _complain(f"out of memory ({error}): give fewer states, a shorter horizon or fewer workers")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else "cannot write the output: "
        return _complain(f"{where}{error.strerror or error}")


def _one_blas_thread():
    """A context in which sums of matrix products have one order, so that every number of cores writes the
    same bytes; more cores are used by processes. The variable is for a BLAS that is loaded later, as SciPy's.
    """
    from threadpoolctl import threadpool_limits

    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    return threadpool_limits(limits=1, user_api="blas")


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if name == "--version":
        from importlib.metadata import version

        print(f"simlab {version('simlab')}")
        return 0
    if name not in COMMANDS:
        raise SimlabError(f"no command {name!r}: known are {', '.join(COMMANDS)}")
    module = importlib.import_module(COMMANDS[name][0])
    words = arguments[1:]
    _check_encoding(words)
    if name != "run":
        if "-h" in words or "--help" in words:
            print(module.USAGE, end="")
            return 0
        known = [option for option in ("--json", "--check", "--csv") if option in module.USAGE]
        for word in words:
            if word.startswith("-") and word not in known:
                raise SimlabError(f"no option {word}: known are {', '.join([*known, '--help'])}")
    return module.main(words)


def _check_encoding(words: list[str]) -> None:
    """Raises SimlabError for words that are not UTF-8, as names of files may be."""
    for word in words:
        told = word.encode(errors="surrogateescape").decode(errors="backslashreplace")
        if told != word:
            raise SimlabError(
                f"{told} is not UTF-8; expected names that tables and pictures can say: rename the file, or "
                "give a link to it"
            )


def _usage() -> str:
    lines = ["usage: simlab COMMAND [key=value ...]", "", "Predict and simulate speculative decoding.", ""]
    lines += [f"  {name:<12} {what}" for name, (_, what) in COMMANDS.items()]
    lines += ["", "simlab COMMAND --help says more. Settings are Hydra overrides, e.g. pair=corpus"]
    return "\n".join(lines)


def _complain(message: str) -> int:
    print(f"simlab: {' '.join(message.split())}", file=sys.stderr)
    return 2
