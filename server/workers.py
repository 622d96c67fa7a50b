"""Worker processes: forked from one that has loaded the application, and replaced as soon as they end."""

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from typing import Final

STARTUP_FAILED: Final = 3
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
# Those that end sooner are replaced after as long, so that what fails at once does not fail all the time.
_SHORT_LIFE_S: Final = 1.0

_log = logging.getLogger(__name__)


class Workers:
    """Keeps a number of workers at work until a signal says to stop; has neither threads nor an event loop to fork."""

    def __init__(self, work: Callable[[], None], count: int) -> None:
        self._work = work
        self._count = count
        self._processes: list[ForkProcess] = []
        self._started_s = 0.0

    def run(self) -> bool:
        """Return when all have ended; whether by a signal, and not because they cannot start."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # A signal that is ignored would not be waited for everywhere.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        is_stopped = False
        while self._start_missing() and not is_stopped:
            is_stopped = signal.sigwait(_SIGNALS) != signal.SIGCHLD
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        return is_stopped

    def _start_missing(self) -> bool:
        """Put a new worker in the place of each that has ended; tell whether it is worth while."""
        ended = [process for process in self._processes if process.exitcode is not None]
        if ended and time.monotonic() - self._started_s < _SHORT_LIFE_S:
            time.sleep(_SHORT_LIFE_S)
        for process in ended:
            _log.error("Worker %d has ended with code %s.", process.pid, process.exitcode)
            self._processes.remove(process)
        if any(process.exitcode == STARTUP_FAILED for process in ended):
            return False
        while len(self._processes) < self._count:
            process = multiprocessing.get_context("fork").Process(target=self._begin)
            self._started_s = time.monotonic()
            process.start()
            self._processes.append(process)
        return True

    def _begin(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._work()
