from __future__ import annotations

import os
import signal
import time

import pytest

from search.workers.shutdown import StopSignal, obeying_signals


def test_the_first_signal_asks_to_stop_and_the_second_exits_at_once() -> None:
    stop_signal = StopSignal()
    before = signal.getsignal(signal.SIGTERM)
    with obeying_signals(stop_signal):
        assert not stop_signal()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_signal()
        assert "SIGTERM" in stop_signal.reason
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_deadline_starts_no_trial_but_interrupts_none() -> None:
    stop_signal = StopSignal(deadline=time.monotonic() - 1)
    assert stop_signal.is_time_up
    assert not stop_signal()


def test_a_worker_exits_when_its_parent_is_gone() -> None:
    assert not StopSignal(parent=os.getppid())()
    assert StopSignal(parent=-1)()


def test_a_pause_does_not_interrupt_a_step() -> None:
    stop_signal = StopSignal()
    stop_signal.pause_reason = "the study has been stopped"
    assert stop_signal.pausing()
    assert not stop_signal()
