import io

import pytest

from align_agent.night.progress import Bars, Plain, Silent, progress_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def night(progress) -> None:
    with progress:
        progress.phase("detect", 3)
        progress.step(3)
        progress.phase("train")
        progress.phase("train", 2)
        progress.step(1, "loss 0.5")
        progress.step(2, "loss [0.1]")
        progress.say("done [really]")


def test_a_pipe_gets_plain_lines_and_no_control_characters():
    stream = io.StringIO()
    night(progress_for(stream))
    text = stream.getvalue()
    assert "night: detect" in text
    assert "\x1b" not in text and "\r" not in text


def test_a_plain_log_tells_the_end_of_a_phase():
    stream = io.StringIO()
    night(Plain(stream))
    assert "night: train 2 of 2 loss [0.1]" in stream.getvalue()


def test_a_terminal_gets_bars():
    assert isinstance(progress_for(Terminal()), Bars)


def test_bars_name_each_phase_and_survive_brackets_in_notes():
    stream = Terminal()
    night(Bars(stream))
    text = stream.getvalue()
    assert "detect" in text and "train" in text and "done [really]" in text


def test_bars_stop_after_an_error():
    stream = Terminal()
    with pytest.raises(ZeroDivisionError), Bars(stream) as bars:
        bars.phase("train", 5)
        _ = 1 / 0
    assert stream.getvalue().endswith(("\n", "\x1b[?25h"))


def test_silence_prints_nothing(capsys):
    night(Silent())
    assert capsys.readouterr() == ("", "")


def test_a_phase_with_nothing_to_do_is_not_shown():
    plain, bars = io.StringIO(), Terminal()
    for progress in (Plain(plain), Bars(bars)):
        with progress:
            progress.phase("detect", 0)
            progress.phase("train", 1)
            progress.step(1)
    for text in (plain.getvalue(), bars.getvalue()):
        assert "detect" not in text and "train" in text


def test_a_phase_whose_steps_are_counted_late_is_one_phase():
    plain = io.StringIO()
    night(Plain(plain))
    assert plain.getvalue().count("night: train\n") == 1
