"""Runs groups of checks in forked processes.

A check that crashes or hangs takes its process along, which is then replaced
by one for the rest of its group.
"""

import json
import os
import signal
import time

from .check import describe


# How many groups run at once: one more than the two cores of a small machine,
# because some checks wait.
WORKERS = 3

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Worker:
    """A forked process that runs the checks of one group in order."""

    def __init__(self, group, checks, request):
        self.group = group
        self.pending = list(checks)
        self.request = request
        self.results = []
        self.log = os.path.join(request.scratch_dir("logs"), group + ".log")
        self.start()

    def start(self):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            run_in_child(writer, self.pending, self.request, self.log)
        os.close(writer)
        lead_group(self.pid)
        os.set_blocking(self.reader, False)
        self.buffer = b""
        self.expect_next()

    def expect_next(self):
        if self.pending:
            self.deadline = time.monotonic() + self.pending[0].seconds

    def poll(self):
        """Read the results that have arrived; return whether the group is done."""
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        self.read()
        if not ended and self.pending and time.monotonic() < self.deadline:
            return False
        self.stop(reap=not ended)
        if not self.pending:
            return True
        self.fail_current(death(status) if ended else
                          f"no end after {self.pending[0].seconds} s")
        if self.pending:
            self.start()
        return not self.pending

    def read(self):
        while True:
            try:
                chunk = os.read(self.reader, 65536)
            except BlockingIOError:
                break
            if not chunk:
                break
            self.buffer += chunk
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            self.results.append(json.loads(line))
            self.pending.pop(0)
            self.expect_next()

    def stop(self, reap):
        # The whole process group: a check may have left processes behind.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass
        if reap:
            os.waitpid(self.pid, 0)
        os.close(self.reader)

    def fail_current(self, reason):
        check = self.pending.pop(0)
        self.results.append(check.result("failed", reason + log_excerpt(self.log)))


def lead_group(pid):
    """Give a child a process group, so that everything that it starts can be killed.

    Parent and child both do so, because either may be the first to need it.
    """
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def run_in_child(writer, checks, request, log):
    """Run the checks, write each result as a line of JSON, and exit."""
    code = 1
    try:
        lead_group(os.getpid())
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        redirect_standard_streams(log)
        for check in checks:
            line = json.dumps(check.run(request)) + "\n"
            os.write(writer, line.encode("ascii"))
        code = 0
    except BaseException as error:
        os.write(2, describe(error).encode("utf-8", "backslashreplace"))
    finally:
        # Without the exit handlers, which are the parent's.
        os._exit(code)


def redirect_standard_streams(log):
    """Send the output of the checks to a log, so that it is not in the report."""
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    try:
        import faulthandler
        faulthandler.enable(2)
    except Exception:  # a crash is then reported without its traceback
        pass


def run_groups(groups, request):
    """Run all groups, several at a time, and return their results.

    The last group is started first. The results are in the order of the groups.
    """
    waiting = list(groups)
    running = []
    done = {}
    stop_with_children(running)
    while waiting or running:
        while waiting and len(running) < WORKERS:
            running.append(Worker(*waiting.pop(), request))
        for worker in list(running):
            if worker.poll():
                running.remove(worker)
                done[worker.group] = worker.results
        # Polling, because the select module of the tree may be broken, and the
        # report has to say so.
        time.sleep(0.002)
    return [result for group, _ in groups for result in done[group]]


def stop_with_children(running):
    """On a signal that ends the probe, kill the workers first."""
    def end(number, _frame):
        for worker in running:
            worker.stop(reap=False)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # The first process of a PID namespace survives that.
        os._exit(128 + number)
    for number in STOP_SIGNALS:
        signal.signal(number, end)


def death(status):
    """Return how a process ended, in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"crashed with {signal.Signals(number).name}"
        except ValueError:
            return f"crashed with signal {number}"
    return f"the process ended early with code {os.WEXITSTATUS(status)}"


def log_excerpt(log, lines=12):
    """Return the traceback of a crash if there is one, else the last lines."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            text = file.read().strip()
    except OSError:
        return ""
    crash = text.rfind("Fatal Python error")
    found = (text.splitlines()[-lines:] if crash < 0
             else text[crash:].splitlines()[:lines])
    return "".join("\n" + line for line in found)
