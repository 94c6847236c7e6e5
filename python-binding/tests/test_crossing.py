"""What bodies use to meet and to tell: it notices what it is for, and leaves nothing open."""

from __future__ import annotations

import os
import pickle
import threading

import pytest

import crossing
from crossing import Gate, Log, Meeting, Room

pytestmark = pytest.mark.once


def copy(thing):
    return pickle.loads(pickle.dumps(thing))


def test_a_gate_opens_for_all_copies() -> None:
    gate = Gate()
    assert not gate.is_set() and not gate.wait(0.001)
    threads = [threading.Thread(target=copy(gate).wait, args=[60]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        copy(gate).set()
        assert gate.is_set() and copy(gate).wait()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_meeting_is_complete_or_fails() -> None:
    meeting = Meeting(3)
    places = Log()
    threads = [
        threading.Thread(target=lambda: places.append(copy(meeting).wait())) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    with pytest.raises(TimeoutError):
        Meeting(2).wait(0.01)
    places.append(meeting.wait())
    for thread in threads:
        thread.join()
    assert sorted(places) == [0, 1, 2]


def test_a_log_keeps_all_in_order() -> None:
    log = Log()
    assert list(log) == []

    def write(name):
        for n in range(300):
            copy(log).append((name, n))

    threads = [threading.Thread(target=write, args=[name]) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log) == 1200
    for name in range(4):
        assert [n for who, n in log if who == name] == list(range(300))


def test_a_room_has_one_place() -> None:
    room = Room()
    for _ in range(2):
        with room:
            with pytest.raises(AssertionError, match="two at the same time"), copy(room):
                pass
            with pytest.raises(AssertionError, match="two at the same time"), room:
                pass


def test_no_descriptor_is_left_open() -> None:
    def number():
        return len(os.listdir("/proc/self/fd"))

    before = number()
    made = [kind() for kind in (Gate, Log, Room)] + [Meeting(2)]
    for thing in made:
        copy(thing).close()
    assert number() == before + 2 + 1 + 2 + 4
    made[0].close()
    made[0].close()
    crossing.close_all()
    assert number() == before
