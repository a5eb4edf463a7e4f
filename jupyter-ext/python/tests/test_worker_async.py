"""Asynchronous functions in a worker."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from front import Answer, json_item, serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


def test_async_calls_run_beside_each_other(tmp_path: Path) -> None:
    source = """
import asyncio
waiting = {}
async def serve(x):
    if x["wait"]:
        waiting[x["n"]] = asyncio.get_running_loop().create_future()
        return [x["n"], await waiting[x["n"]]]
    waiting[x["n"]].set_result("woken")
    if x["n"] == 2:
        raise SystemExit(1)
    return "woke"
"""
    with serving(tmp_path, source) as (front, worker):
        assert front.hello["concurrent"] == 64
        waits = front.send(*(json_item(json.dumps({"wait": True, "n": n})) for n in range(3)))
        found: dict[int, Answer] = {}
        for n in (2, 0, 1):
            [wakes] = front.send(json_item(json.dumps({"wait": False, "n": n})))
            while not {wakes, waits[n]} <= set(found):
                found |= front.reply()
            assert found[waits[n]].body == [n, "woken"]
            assert found[wakes].status == (500 if n == 2 else 200)
        assert "serve raised SystemExit: 1" in worker.log()
        assert front.call(json_item("{"))[0].status == 400


def test_a_plain_function_may_return_what_is_awaited(tmp_path: Path) -> None:
    source = "async def later(x):\n    return x + 1\ndef serve(x):\n    return later(x)\n"
    with serving(tmp_path, source) as (front, _):
        assert front.hello["concurrent"] == 1 and front.post(1).body == 2


def test_a_task_that_an_async_function_started_cannot_end_the_worker(tmp_path: Path) -> None:
    source = """
import asyncio, sys
async def dies():
    sys.exit(3)
async def serve(x):
    if x:
        asyncio.get_running_loop().create_task(dies())
    await asyncio.sleep(0.01)
    return "fine"
"""
    with serving(tmp_path, source) as (front, worker):
        assert front.post(1).body == "fine" and front.post(0).body == "fine"
        assert "SystemExit: 3" in worker.log()
