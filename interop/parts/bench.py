"""One run of the cases: its folder, its binary, its processes, and how a case ends.

Whatever a case started ends with the case, by its own handle. Every wait is for something that was
observed, and has a bound that only a failure meets.
"""

import os
import shutil
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Installed packages and logs: below the folder that cargo owns and git ignores.
PLACE = os.path.join(TOP, "target", "interop")
# A failing case's patience, seconds; no figure of the product.
PATIENCE = 60.0
# Between two questions, seconds; a status is a quarter of a second old anyway.
ASK_EVERY = 0.1
# SIGTERM to SIGKILL, seconds: a node saves its state in well under one.
GRACE = 10.0


class Failed(Exception):
    """What was to be seen was not."""


class Skipped(Exception):
    """The machine does not let this case run; says why."""


def check(holds, what):
    """A claim of a case. Unlike `assert` it cannot be switched off."""
    if not holds:
        raise Failed(what)


class Process:
    """A child with its output in a file."""

    def __init__(self, command, log, env=None):
        self.command = command
        self.log_path = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env or {})

    @property
    def pid(self):
        return self.child.pid

    def runs(self):
        return self.child.poll() is None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        """SIGKILL: nothing is saved, nobody is told."""
        self.child.kill()
        self.child.wait()

    def terminate(self):
        """SIGTERM, and SIGKILL for one that does not heed it. Returns the exit status."""
        if self.runs():
            self.child.terminate()
        try:
            return self.child.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"no end within {GRACE} s of SIGTERM: {' '.join(self.command)}")


class Bench:
    """What one case works with. Used as a context: leaving it ends all that was started."""

    def __init__(self, binary, name, keep=False):
        self.binary = binary
        self.folder = tempfile.mkdtemp(prefix=f"shoal-interop-{name}-")
        self.keep = keep
        self.notes = []
        self._processes = []
        self._undo = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for process in self._processes:
            if process.runs():
                process.kill()
        for undo in reversed(self._undo):
            undo()
        if self.keep or (kind is not None and kind is not Skipped):
            print(f"  logs are kept in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def start(self, command, name, env=None):
        process = Process(command, self.path(name + ".log"), env)
        self._processes.append(process)
        return process

    def finally_do(self, undo):
        self._undo.append(undo)

    def note(self, text):
        """A figure that was measured, said beside the case's name."""
        self.notes.append(text)


def until(what, ask, patience=PATIENCE, every=ASK_EVERY):
    """Asks until the answer is neither None nor False, and returns it."""
    end = time.monotonic() + patience
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {patience:g} s")
        time.sleep(every)
