"""Workers are ordinary Python threads: names, thread-locals, tracing, profiling, debuggers.

By value each has an interpreter of its own, with threads, hooks and locals of its own."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

import boc
from boc import Cown, quiesce, start, wait, when, whencall
from crossing import Gate, Meeting


def test_names() -> None:
    start(3)
    meeting = Meeting(3)

    def name():
        meeting.wait()
        return threading.current_thread().name

    results = [when()(name) for _ in range(3)]
    assert sorted(result.result() for result in results) == [f"boc-worker-{n}" for n in range(3)]


@pytest.mark.by_reference("threads of this interpreter")
def test_they_are_threads_of_the_threading_module() -> None:
    thread = when()(threading.current_thread).result()
    assert type(thread) is threading.Thread and thread.daemon
    assert thread in threading.enumerate()
    assert thread.ident == when()(threading.get_ident).result() or boc.WORKER_COUNT > 1
    wait()
    assert not thread.is_alive() and thread not in threading.enumerate()


@pytest.mark.by_reference("an object of this interpreter")
def test_thread_locals() -> None:
    start(1)
    local = threading.local()

    def body():
        local.count = getattr(local, "count", 0) + 1
        return local.count

    assert [when()(body).result() for _ in range(3)] == [1, 2, 3]
    assert not hasattr(local, "count")


@pytest.mark.by_reference("an object of this interpreter")
def test_context_variables_do_not_leak_to_who_schedules() -> None:
    variable = contextvars.ContextVar("variable", default=0)
    when()(lambda: variable.set(5)).result()
    assert variable.get() == 0


@pytest.mark.by_reference("hooks of this interpreter")
@pytest.mark.parametrize(
    ("switch", "kind"), [(threading.settrace, "call"), (threading.setprofile, "call")]
)
def test_tracing_workers(switch, kind: str) -> None:
    seen = set()

    def hook(frame, event, _):
        if event == kind:
            seen.add((threading.current_thread().name, frame.f_code.co_name))
        return None

    def body_to_find(cown):
        return cown.value

    before = threading.gettrace(), threading.getprofile()
    switch(hook)
    try:
        start(2)
        for _ in range(20):
            assert when(Cown(1))(body_to_find).result() == 1
        wait()
    finally:
        threading.settrace(before[0])
        threading.setprofile(before[1])
    assert any(name == "body_to_find" and by.startswith("boc-worker") for by, name in seen)


@pytest.mark.by_reference("hooks of this interpreter")
@pytest.mark.skipif(not hasattr(threading, "settrace_all_threads"), reason="since 3.12")
@pytest.mark.parametrize("which", ["trace", "profile"])
def test_tracing_workers_that_run_already(which: str) -> None:
    switch = getattr(threading, f"set{which}_all_threads")
    seen = []

    def hook(frame, event, _):
        if frame.f_code.co_name == "body_to_find":
            seen.append(event)
        return hook

    def body_to_find(cown):
        cown.value += 1
        when(cown)(lambda cown: None)

    start(2)
    cown = Cown(0)
    when(cown)(body_to_find).result()
    before = getattr(threading, f"get{which}")()
    try:
        switch(hook)
        for _ in range(50):
            when(cown)(body_to_find)
        quiesce()
    finally:
        switch(before)
    quiesce()
    assert seen.count("call") == seen.count("return") == 50
    assert when(cown)(lambda cown: cown.value).result() == 51


@pytest.mark.by_reference("hooks of this interpreter")
def test_a_trace_function_that_raises() -> None:
    def hook(frame, event, _):
        if frame.f_code.co_name == "body_to_find":
            raise ValueError("from the trace function")

    def body_to_find():
        return 1

    threading.settrace(hook)
    try:
        start(1)
        with pytest.raises(ValueError, match="from the trace function"):
            when()(body_to_find).result()
        assert when()(lambda: 2).result() == 2
    finally:
        threading.settrace(None)


@pytest.mark.by_reference("hooks of this interpreter")
def test_a_trace_function_that_uses_boc() -> None:
    log = Cown(0)

    def hook(frame, event, _):
        if frame.f_code.co_name == "body_to_find":
            when(log)(lambda log: setattr(log, "value", log.value + 1))

    def body_to_find():
        return 1

    threading.settrace(hook)
    try:
        start(2)
        for _ in range(50):
            assert when()(body_to_find).result() == 1
    finally:
        threading.settrace(None)
    quiesce()
    assert when(log)(lambda log: log.value).result() == 50


@pytest.mark.by_reference("threads of this interpreter")
def test_a_debugger_sees_the_frames_of_a_body(gate: Gate) -> None:
    running = threading.Event()

    @when(Cown(7))
    def body_to_find(cown):
        local = cown.value  # noqa: F841
        running.set()
        gate.wait(60)

    running.wait(60)
    (worker,) = [t for t in threading.enumerate() if t.name == "boc-worker-0"]
    frame = sys._current_frames().get(worker.ident)
    names = [entry.name for entry in traceback.extract_stack(frame)]
    assert "body_to_find" in names or boc.WORKER_COUNT > 1
    gate.set()
    body_to_find.result()


@pytest.mark.by_reference("hooks of this interpreter")
def test_breakpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    hit = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: hit.append(threading.current_thread().name))
    when()(lambda: breakpoint()).result()
    assert hit == ["boc-worker-0"] or boc.WORKER_COUNT > 1


@pytest.mark.by_reference("hooks of this interpreter")
def test_monitoring() -> None:
    if not hasattr(sys, "monitoring"):
        pytest.skip("since 3.12")
    monitoring, seen = sys.monitoring, []

    def body_to_find():
        return 1

    monitoring.use_tool_id(4, "test")
    try:
        monitoring.register_callback(
            4, monitoring.events.PY_START, lambda code, _: seen.append(code.co_name)
        )
        monitoring.set_local_events(4, body_to_find.__code__, monitoring.events.PY_START)
        for _ in range(10):
            when()(body_to_find).result()
        monitoring.set_local_events(4, body_to_find.__code__, 0)
    finally:
        monitoring.register_callback(4, monitoring.events.PY_START, None)
        monitoring.free_tool_id(4)
    assert seen == ["body_to_find"] * 10


@pytest.mark.by_reference("threads of this interpreter")
def test_asynchronous_exceptions_do_not_end_a_worker() -> None:
    import ctypes

    start(1)
    ident = when()(threading.get_ident).result()
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raise_in.argtypes = [ctypes.c_ulong, ctypes.py_object]
    running = threading.Event()

    @when()
    def body():
        running.set()
        while True:
            time.sleep(0.001)

    running.wait(60)
    assert raise_in(ident, KeyError) == 1
    with pytest.raises(KeyError):
        body.result(60)
    assert when()(lambda: 1).result(60) == 1


def test_an_event_loop_in_a_body() -> None:
    async def main():
        await asyncio.sleep(0)
        return 5

    assert when()(lambda: asyncio.run(main())).result() == 5


def test_an_event_loop_that_waits_for_results() -> None:
    async def main():
        results = [when(Cown(n))(lambda cown: cown.value) for n in range(5)]
        return await asyncio.gather(*(asyncio.to_thread(r.result, 60) for r in results))

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


def test_warnings_can_be_errors_in_a_body() -> None:
    def body():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.warn("oops", stacklevel=1)

    with pytest.raises(UserWarning, match="oops"):
        when()(body).result()
    assert when()(lambda: 1).result() == 1


@pytest.mark.by_reference("the filters of this interpreter")
def test_warnings_in_bodies_are_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning):
            when()(lambda: warnings.warn("oops", stacklevel=1)).result()


def test_threads_of_bodies_may_schedule_and_wait() -> None:
    start(2)

    def body(cown):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: when(Cown(1))(lambda c: c.value).result(60)).result(60)

    assert when(Cown(0))(body).result(60) == 1


def test_many_workers(backend: str) -> None:
    # An interpreter takes some megabytes.
    start(200 if backend == "direct" else 20)
    cown = Cown(0)
    for _ in range(2000):
        when(cown)(lambda cown: setattr(cown, "value", cown.value + 1))
        when()(lambda: None)
    wait()
    assert cown.unwrap() == 2000


def test_threads_that_come_and_go() -> None:
    cown = Cown(0)

    def body(cown, by):
        cown.value += by

    for _ in range(100):
        threads = [threading.Thread(target=whencall, args=(body, [cown], [1])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    quiesce()
    assert cown.unwrap() == 400
