import os
import signal

import pytest

from align_agent.night.progress import Silent
from align_agent.night.stop import Stoppable


@pytest.fixture
def progress():
    before = signal.getsignal(signal.SIGUSR1)
    found = Stoppable(Silent())
    found.on_signals(signal.SIGUSR1)
    yield found
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_stops_the_night_at_its_next_step(progress):
    progress.phase("train", 3)
    progress.step(1)
    os.kill(os.getpid(), signal.SIGUSR1)
    with pytest.raises(KeyboardInterrupt):
        progress.step(2)


def test_a_signal_stops_the_night_at_its_next_phase(progress):
    os.kill(os.getpid(), signal.SIGUSR1)
    with pytest.raises(KeyboardInterrupt):
        progress.phase("gate")


def test_a_second_signal_does_not_wait(progress):
    os.kill(os.getpid(), signal.SIGUSR1)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGUSR1)


def test_what_a_stopping_night_still_says_is_shown(progress):
    progress.ask()
    progress.say("stopping")
