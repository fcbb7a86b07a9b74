"""The `simlab` command: finds the subcommand, turns mistakes into one line, sets the exit code.

Exit codes: 0 done, 1 a verdict FAILed, 2 a mistake in the input or a failure of the machine, 130 stopped
by Ctrl-C (what was done is saved).
"""

from __future__ import annotations

import importlib
import os
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
    """Run the command line; returns the exit code. Never shows a traceback for a user's mistake."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with _one_blas_thread():
            return _dispatch(arguments)
    except SimlabError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("simlab: stopped; the same command goes on where this one was", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (simlab predict | head): nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
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
    if name != "run":
        if "-h" in words or "--help" in words:
            print(module.USAGE, end="")
            return 0
        known = [option for option in ("--json", "--check", "--csv") if option in module.USAGE]
        for word in words:
            if word.startswith("-") and word not in known:
                raise SimlabError(f"no option {word}: known are {', '.join([*known, '--help'])}")
    return module.main(words)


def _usage() -> str:
    lines = ["usage: simlab COMMAND [key=value ...]", "", "Predict and simulate speculative decoding.", ""]
    lines += [f"  {name:<12} {what}" for name, (_, what) in COMMANDS.items()]
    lines += ["", "simlab COMMAND --help says more. Settings are Hydra overrides, e.g. pair=corpus"]
    return "\n".join(lines)


def _complain(message: str) -> int:
    print(f"simlab: {' '.join(message.split())}", file=sys.stderr)
    return 2
