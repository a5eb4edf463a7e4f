"""The digits notebook in a real browser, as a person sees it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lab import Lab
from playwright.sync_api import Locator, WebSocket, expect

PICTURES = Path(__file__).parents[2] / "docs" / "images"


def test_the_table_under_the_cell_changes_in_place(lab: Lab) -> None:
    lab.open("digits.ipynb")
    # Every text that the table shows is noted inside the page, so that none is missed between two readings.
    lab.page.evaluate(
        """() => {
            window.seen = []
            new MutationObserver(() => {
                const tables = document.querySelectorAll('.jp-OutputArea-output .mm .top')
                const texts = [...tables].map(table => table.innerText)
                const text = texts.filter(text => text.startsWith('train-model')).join('|')
                if (text && text !== window.seen.at(-1)) window.seen.push(text)
            }).observe(document.body, {subtree: true, childList: true, characterData: true})
        }"""
    )
    lab.run_all()
    table = lab.cell("%%train").locator(".mm").filter(has=lab.page.locator(".top"))
    expect(table).to_contain_text("train-model-1")
    expect(table).to_contain_text(re.compile(r"[3-9] of 16"))
    if os.environ.get("UPDATE_SCREENSHOT"):
        lab.cell("%%train").screenshot(path=PICTURES / "under-the-cell.png")
    expect(lab.cell("winner = joblib.load")).to_contain_text("digits that no training has seen are read correctly")

    # One table from the first row to the last: it was replaced where it stood, never appended.
    expect(table).to_have_count(1)
    seen: list[str] = lab.page.evaluate("() => window.seen")
    assert len(seen) > 5, seen
    assert not [text for text in seen if "|" in text], "two tables stood under the cell at once"
    expect(table.locator("tr.best")).to_have_count(1)
    expect(lab.outputs("run.to_pandas()").locator("table")).to_be_visible()
    expect(lab.outputs("curves[best.index]").locator("img")).to_be_visible()

    # The server of the best network answered, and its last cell has ended it.
    expect(lab.cell("server.stop()")).to_contain_text("read-digit-1 is stopped")
    expect(lab.cell("%%serve")).to_contain_text("read-digit-1")
    expect(lab.cell("server.predict")).to_contain_text("of 360 digits correctly")
    if os.environ.get("UPDATE_SCREENSHOT"):
        lab.cell("%%serve").scroll_into_view_if_needed()
        expect(lab.cell("%%serve").locator(".mm .top")).to_be_visible()
        lab.cell("%%serve").screenshot(path=PICTURES / "served.png")
    states = {run["name"]: run["state"] for run in lab.metaml("runs")}
    assert states == {"train-model-1": "succeeded", "read-digit-1": "stopped"}


def test_interrupt_stops_the_run_and_restart_gives_a_fresh_kernel(lab: Lab) -> None:
    lab.write(
        "slow.ipynb",
        "import threading",
        "%%train --completions 2\ndef wait_for_ever():\n    threading.Event().wait()",
        "print('not reached')",
        "1 + 1",
    )
    lab.open("slow.ipynb")
    lab.run_all()
    train = lab.cell("%%train")
    expect(train).to_contain_text("wait-for-ever-1")
    expect(train.get_by_role("cell", name="0 ●")).to_be_visible()
    lab.command("notebook:interrupt-kernel")
    expect(train).to_contain_text("KeyboardInterrupt")
    # What was queued behind it is given up, as after every interrupt.
    expect(lab.outputs("not reached")).to_have_count(0)
    [run] = lab.metaml("runs")
    assert run["state"] == "stopped"

    lab.command("notebook:restart-kernel")
    lab.page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    lab.wait_for_kernel("Python (MetaML)")
    lab.cell("1 + 1").click()
    lab.command("notebook:run-cell")
    expect(lab.cell("1 + 1")).to_contain_text("[1]:")
    expect(lab.outputs("1 + 1")).to_contain_text("2")


LONG = (
    "%%train --completions 40\ndef wait(directory='.'):\n    import os, time\n"
    "    while not os.path.exists('go'): time.sleep(0.1)\n    time.sleep(0.3)"
)


def start_and_load_again(lab: Lab, *cells: str) -> None:
    """Executes a long run that waits for the file `go`, saves the notebook, and loads its page again."""
    lab.write("long.ipynb", LONG, *cells)
    lab.open("long.ipynb")
    lab.cell("%%train").click()
    lab.command("notebook:run-cell")
    expect(lab.cell("%%train").get_by_role("cell", name="0 ●")).to_be_visible()
    lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    lab.load_again()
    expect(indicator(lab)).to_have_attribute("data-status", "busy")


def indicator(lab: Lab) -> Locator:
    return lab.page.locator(".jp-Notebook-ExecutionIndicator")


def test_a_page_that_is_loaded_again_shows_the_run_in_its_cell(lab: Lab) -> None:
    start_and_load_again(lab, "print('later')")
    train = lab.cell("%%train")
    expect(train).to_contain_text("[*]:")
    # Loaded once more: it is shown once, and by this page.
    lab.load_again()
    expect(train).to_contain_text("[*]:")
    (lab.notebooks / "go").touch()
    table = train.locator(".mm").filter(has=lab.page.locator(".top"))
    expect(table).to_contain_text(re.compile(r"[1-9]\d* of 40"))
    expect(table).to_have_count(1)
    if picture := os.environ.get("METAML_PICTURE"):
        lab.page.screenshot(path=picture)
    lab.cell("print('later')").click()
    lab.command("notebook:run-cell")
    expect(table).to_contain_text("all 40 trials")
    expect(train).to_contain_text("[1]:")
    expect(indicator(lab)).to_have_attribute("data-status", "idle")
    expect(table).to_have_count(1)
    expect(lab.outputs("print('later')")).to_have_text("later")
    # The cell counts once, whoever showed it.
    expect(lab.cell("print('later')")).to_contain_text("[2]:")


def test_interrupt_in_a_page_that_is_loaded_again_stops_the_run_that_its_cell_shows(lab: Lab) -> None:
    start_and_load_again(lab)
    train = lab.cell("%%train")
    expect(train).to_contain_text("[*]:")
    expect(train).to_contain_text("■ stops the run")
    lab.command("notebook:interrupt-kernel")
    expect(train).to_contain_text("KeyboardInterrupt: wait-1 was stopped")
    expect(train).to_contain_text("[1]:")
    expect(indicator(lab)).to_have_attribute("data-status", "idle")
    [run] = lab.metaml("runs")
    assert run["state"] == "stopped"


def test_a_notebook_of_another_kernel_is_asked_nothing(lab: Lab) -> None:
    lab.write("plain.ipynb", "import time; time.sleep(3)", "1 + 1", kernel="python3")
    sent: list[str] = []

    def note(socket: WebSocket) -> None:
        socket.on(
            "framesent", lambda data: sent.append(data if isinstance(data, str) else data.decode(errors="ignore"))
        )

    lab.open("plain.ipynb", "Python 3 (ipykernel)")
    lab.cell("time.sleep").click()
    lab.command("notebook:run-cell")
    expect(indicator(lab)).to_have_attribute("data-status", "busy")
    lab.page.on("websocket", note)
    lab.load_again()
    expect(indicator(lab)).to_have_attribute("data-status", "idle")
    lab.cell("1 + 1").click()
    lab.command("notebook:run-cell")
    expect(lab.outputs("1 + 1")).to_contain_text("2")
    requests = [text for text in sent if "execute_request" in text]
    assert len(requests) == 1, requests
    assert "1 + 1" in requests[0]


def test_a_page_without_the_cell_sees_the_run_by_attach(lab: Lab) -> None:
    lab.write("long.ipynb", "%metaml attach", "print('later')", LONG)
    lab.open("long.ipynb")
    lab.cell("%%train").click()
    lab.command("notebook:run-cell")
    expect(lab.cell("%%train").get_by_role("cell", name="0 ●")).to_be_visible()

    lab.write("long.ipynb", "%metaml attach", "print('later')")
    lab.load_again()
    expect(indicator(lab)).to_have_attribute("data-status", "busy")
    attach = lab.cell("%metaml attach")
    attach.click()
    lab.command("notebook:run-cell")
    expect(attach.get_by_role("cell", name="0 ●")).to_be_visible()
    lab.cell("print('later')").click()
    lab.command("notebook:run-cell")
    expect(lab.cell("print('later')")).to_contain_text("This cell waits for wait-1; `%metaml attach wait-1` shows it.")
    (lab.notebooks / "go").touch()
    expect(attach).to_contain_text(re.compile(r"[1-9]\d* of 40"))

    # Nothing is stopped that the page does not show: the run goes on, and the person reads how to stop it.
    lab.command("notebook:interrupt-kernel")
    expect(attach).to_contain_text("wait-1 goes on")
    expect(indicator(lab)).to_have_attribute("data-status", "idle")
    lab.cell("print('later')").click()
    lab.command("notebook:run-cell")
    expect(lab.cell("print('later')")).to_contain_text("`%metaml stop wait-1` stops it")
    [run] = lab.metaml("runs")
    assert run["state"] in ("running", "succeeded")
