from __future__ import annotations

import os
import signal
import time

import pytest

from search.workers.shutdown import Leaving, obeying_signals


def test_the_first_signal_asks_to_leave_and_the_second_leaves_at_once() -> None:
    leaving = Leaving()
    before = signal.getsignal(signal.SIGTERM)
    with obeying_signals(leaving):
        assert not leaving()
        os.kill(os.getpid(), signal.SIGTERM)
        assert leaving()
        assert "SIGTERM" in leaving.reason
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_deadline_starts_no_trial_but_interrupts_none() -> None:
    leaving = Leaving(deadline=time.monotonic() - 1)
    assert leaving.is_time_up
    assert not leaving()


def test_a_worker_leaves_when_its_parent_is_gone() -> None:
    assert not Leaving(parent=os.getppid())()
    assert Leaving(parent=-1)()


def test_a_pause_does_not_interrupt_a_step() -> None:
    leaving = Leaving()
    leaving.pause_reason = "the study has been stopped"
    assert leaving.pausing()
    assert not leaving()
