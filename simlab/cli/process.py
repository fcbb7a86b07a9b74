"""The command as a process: standard streams that may be closed or hung up, and signals that end it."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager

GARBAGE = (100_000, 20, 20)
"""How many objects a process makes before Python looks for garbage, as `gc` takes it: some tens of megabytes
wait for it, and a twentieth of the time is saved."""

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_PATIENCE = 2.0  # seconds that compiled code has to come back before a signal ends it
_heard = False
_caught = 0  # how many parts of the command want to be told of Ctrl-C instead


class Ended(KeyboardInterrupt):
    """A signal ended the command; `number` is which."""

    def __init__(self, number: int) -> None:
        super().__init__(said(number))
        self.number = number


def said(number: int) -> str:
    """One line for the end by a signal."""
    how = "stopped" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
    return f"{how}; what was saved is safe: the same command goes on where this one was"


class _Stream(io.FileIO):
    """A standard stream whose reader may go (simlab run | head, a closed terminal): what nobody reads is
    dropped, and the command goes on and writes its files."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            return memoryview(data).nbytes


def open_streams() -> None:
    """Make standard input, output and error usable whatever the shell did to them.

    A closed one leads nowhere: otherwise the next file that is opened, such as the ledger, would get its
    number, and with it whatever a library writes there. Characters that the encoding lacks are spelled out.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    for number, name in ((1, "stdout"), (2, "stderr")):
        old = getattr(sys, name)
        if old is not None:
            old.flush()
        errors = getattr(old, "errors", "strict")
        new = io.TextIOWrapper(
            io.BufferedWriter(_Stream(number, "w", closefd=False)),
            encoding=getattr(old, "encoding", None) or "utf-8",
            errors="backslashreplace" if errors == "strict" else errors,
            line_buffering=getattr(old, "line_buffering", False),
            write_through=getattr(old, "write_through", False),
        )
        setattr(sys, name, new)


def look_for_garbage_seldom() -> None:
    """What is there stays, and further objects are many before they are looked through."""
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def hear_signals() -> None:
    """From now on Ctrl-C, SIGTERM and SIGHUP end the command in one line, at any moment and in any code.

    The line is written and the process left on the spot, without unwinding: an exception that is raised in
    the middle of an import or a compiler leaves as a traceback, or not at all. Files are written whole or not
    at all, and the ledger takes no harm. Only where worker processes run is the stack unwound, to end them
    (`Ended`). A run replaces these handlers while it simulates: what is under way is finished first. Signals
    that the parent said to ignore (nohup) are ignored.
    """
    heard = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _hear)
    if not hasattr(os, "set_blocking"):
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()


def ignore_signals() -> None:
    """What follows is short and not to be torn."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def told_of_ctrl_c():
    """Within, Ctrl-C raises KeyboardInterrupt, as for code that reports what it has."""
    global _caught
    _caught += 1
    try:
        yield
    finally:
        _caught -= 1


def _hear(number: int, _frame) -> None:
    global _heard
    _heard = True
    if _caught and number == signal.SIGINT:
        raise KeyboardInterrupt
    if _has_processes():
        ignore_signals()
        raise Ended(number)
    _leave(number)


def _leave(number: int) -> None:
    ignore_signals() if threading.current_thread() is threading.main_thread() else None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # whatever stream it is: it may be in the middle of a line
            continue
    try:
        lead = "\n" if sys.stderr.isatty() else ""  # behind a live line, or the terminal's ^C
        os.write(2, f"{lead}simlab: {said(number)}\n".encode())
    except OSError:  # nobody listens
        pass
    os._exit(128 + number)


def _watch(reader: int) -> None:
    """Compiled code returns when it is done, and only then are signals heard: this thread hears them before.

    While a run simulates its handlers are another's, which finish what is under way.
    """
    while True:
        for number in os.read(reader, 64):
            if number not in _ENDING:
                continue
            time.sleep(_PATIENCE)
            if not _heard and signal.getsignal(number) is _hear and not _has_processes():
                _leave(number)


def _has_processes() -> bool:
    """Whether worker processes, or loky's process that cleans up after them, were started by this one."""
    tracker = sys.modules.get("joblib.externals.loky.backend.resource_tracker")
    if tracker is not None and getattr(tracker._resource_tracker, "_fd", None) is not None:
        return True
    processes = sys.modules.get("multiprocessing.process")
    return bool(processes and processes._children)
