"""A run beyond its time or memory ends as a failed one, whatever the code inside does about it."""

from __future__ import annotations

import time

import pytest

from pare_bench.errors import RunFault
from pare_bench.runs import limits
from pare_bench.runs.limits import OverLimitError, within


def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def test_what_stays_within_its_limits_is_left_alone():
    with within(5.0, 1e6):
        busy(0.6)
    with within(None, None):
        pass


def test_what_takes_too_long_ends_with_a_reason():
    began = time.monotonic()
    with pytest.raises(OverLimitError, match=r"^over its time limit of 0\.3 s$") as caught, within(0.3, None):
        busy(20)
    assert time.monotonic() - began < 3
    assert isinstance(caught.value, RunFault)
    assert "--time-limit" in caught.value.hint


def test_what_takes_too_much_memory_ends_with_a_reason():
    with pytest.raises(OverLimitError, match=r"^over its memory limit of 1 MB: it holds \d+"), within(None, 1.0):
        busy(20)


def test_code_that_goes_on_regardless_is_told_again(monkeypatch):
    monkeypatch.setattr(limits, "AGAIN", 0.3)
    told = 0

    def regardless():
        nonlocal told
        while told < 2:
            try:
                busy(20)
            except BaseException:  # noqa: BLE001 - as a method might
                told += 1
        busy(20)

    with pytest.raises(OverLimitError), within(0.2, None):
        regardless()
    assert told == 2


def test_ctrl_c_stays_ctrl_c():
    with pytest.raises(KeyboardInterrupt) as caught, within(20.0, None):
        raise KeyboardInterrupt
    assert type(caught.value) is KeyboardInterrupt


def test_an_error_inside_stays_what_it_is():
    with pytest.raises(ZeroDivisionError), within(20.0, None):
        1 / 0  # noqa: B018


def test_nothing_is_told_once_it_is_over():
    for _ in range(20):
        try:
            with within(limits.EVERY, None):
                busy(limits.EVERY * 0.98)
        except OverLimitError:
            pass
        busy(0.02)
