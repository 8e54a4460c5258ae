"""Flower as it comes from PyPI, looked at in a real browser.

``SCREENSHOTS=docs`` has it leave its picture there, as ``docs/flower.png`` was made.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .browser import PATIENCE, open_browser
from .conftest import HERE, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.remote.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

    from kombu_sns_sqs.local import LocalService

    from .workers import Worker

pytestmark = pytest.mark.acceptance


class Flower:
    """A ``celery flower`` of its own, on a free port."""

    def __init__(self, site: Site) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = site.folder / "flower.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "app", "flower", f"--port={port}", "--address=127.0.0.1"],
                cwd=HERE,
                env={**site.environment, "FLOWER_UNAUTHENTICATED_API": "true", "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def wait_until_it_answers(self) -> None:
        """Wait for its first page."""
        deadline = time.monotonic() + PATIENCE
        while not self.read("/workers"):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def read(self, path: str) -> str:
        """What it answers; empty where it does not."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:  # noqa: S310 -- our own
                return str(answer.read().decode())
        except OSError:
            return ""

    def stop(self) -> int:
        """End it as a service manager does, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()


class Page:
    """What the browser shows of Flower."""

    def __init__(self, browser: WebDriver, url: str) -> None:
        self.browser = browser
        self.url = url

    def open(self, path: str) -> None:
        """Go to a page."""
        self.browser.get(self.url + path)

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector, once there is one."""
        self.wait_for(lambda: self.browser.find_elements("css selector", selector), selector)
        return self.browser.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        """Click on an element once it is shown, in the middle of the window: messages stand in the corner."""
        element = self.find(selector)
        self.wait_for(element.is_displayed, selector)
        self.browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", element)
        element.click()

    def texts(self, selector: str) -> list[str]:
        """What the elements of a CSS selector say."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.trim())"
        return list(self.browser.execute_script(script, selector))

    def rows(self, table: str) -> list[list[str]]:
        """What the cells of a table's body say."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        )
        return list(self.browser.execute_script(script, f"{table} tbody tr"))

    def wait_for(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"{what}:\n{self.browser.find_element('tag name', 'body').text}"
            time.sleep(0.1)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element says something."""
        self.wait_for(lambda: any(text in one for one in self.texts(selector)), f"{selector}: {text!r}")


@pytest.fixture(scope="module")
def site(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A name prefix for all tests of this module."""
    return Site(service, tmp_path_factory.mktemp("flower"))


@pytest.fixture(scope="module")
def workers(site: Site) -> Iterator[dict[str, Worker]]:
    """Two workers; the second sends task events only when it is told to, which Flower does."""
    with site.worker("w1", "prefork", "-E") as first, site.worker("w2", "threads") as second:
        yield {"w1": first, "w2": second}


@pytest.fixture(scope="module")
def flower(site: Site, workers: dict[str, Worker]) -> Iterator[Flower]:
    """Flower, which has been told of both workers."""
    flower = Flower(site)
    try:
        flower.wait_until_it_answers()
        yield flower
    finally:
        if flower.process.poll() is None:
            flower.stop()


@pytest.fixture(scope="module")
def page(flower: Flower, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser for all tests of this module, and a Flower that has switched on the task events of both workers."""
    browser = open_browser(tmp_path_factory.mktemp("chromium"))
    page = Page(browser, flower.url)

    def both_have_succeeded() -> bool:
        site.ask("announce.delay('to each worker').id")
        return all(row[1] == "Online" and int(row[5]) > 0 for row in workers_of(page))

    page.wait_for(both_have_succeeded, "both have succeeded")
    yield page
    browser.quit()


def workers_of(page: Page) -> list[list[str]]:
    """The rows of the table of workers, of which there are two."""
    page.open("/workers")
    page.wait_for(lambda: len(page.rows("#workers-table")) == 2, "two workers")
    return page.rows("#workers-table")


def test_both_workers_are_online_and_each_task_that_succeeds_is_counted(page: Page, site: Site) -> None:
    """Also those of the worker that sent no task events when it was started: Flower switches them on."""
    page.open("/workers")
    page.wait_for_text("#workers-online", "2")
    site.wait_for_notes(lambda notes: len(notes) % 2 == 0)
    done = len(site.notes) // 2
    page.wait_for(lambda: int(one_of(workers_of(page), "w1@test")[5]) == done, "all that the first has done")
    before = succeeded(workers_of(page))
    site.ask("group(add.s(n, n) for n in range(60))().get(timeout=30)")
    page.wait_for(lambda: succeeded(workers_of(page)) >= before + 60, "60 more")
    assert succeeded(workers_of(page)) == before + 60
    assert sorted(row[0] for row in workers_of(page)) == ["w1@test", "w2@test"]
    if "SCREENSHOTS" in os.environ:
        page.browser.save_screenshot(Path(os.environ["SCREENSHOTS"], "flower.png"))


def one_of(rows: list[list[str]], name: str) -> list[str]:
    """A worker's row of the table."""
    (row,) = (row for row in rows if row[0] == name)
    return row


def succeeded(rows: list[list[str]]) -> int:
    """Tasks that all workers have done, as the table has it."""
    return sum(int(row[5]) for row in rows)


def test_a_task_is_shown_with_its_result_and_one_that_fails_with_its_error(page: Page, site: Site) -> None:
    """Each with the state it came to; a page of its own says what became of it."""
    task_id = site.ask("(lambda r: (r.get(timeout=30), r.id)[1])(add.delay(40, 2))")
    site.ask("fail.delay().get(timeout=30, propagate=False).__class__.__name__")

    def shown() -> list[str]:
        page.open("/tasks")
        page.wait_for(lambda: page.rows("#tasks-table"), "a task")
        return [" ".join(row) for row in page.rows("#tasks-table")]

    page.wait_for(lambda: any("app.fail" in row and "FAILURE" in row for row in shown()), "a failure")
    page.wait_for(lambda: any(task_id in row and "SUCCESS" in row for row in shown()), "a success")
    page.open(f"/task/{task_id}")
    page.wait_for_text("body", "Result\n42")


def test_the_pool_grows_and_a_rate_is_limited_by_clicks(page: Page, site: Site) -> None:
    """The worker answers, and does it."""
    page.open("/worker/w1@test")
    page.click("#worker-pool-grow")
    page.wait_for_text(".toast-body", "Growing 'w1@test' worker's pool by 1")
    stats = "len(app.control.inspect(['w1@test']).stats()['w1@test']['pool']['processes'])"
    page.wait_for(lambda: site.ask(stats) == 3, "three processes")
    page.click("#worker-tab-limits")
    page.click("[aria-label='Rate limit for app.when']")
    page.find("[aria-label='Rate limit for app.when']").send_keys("50")
    page.click("[id='task-rate-limit-app.when']")
    page.wait_for_text(".toast-body", "new rate limit set successfully")


def test_its_metrics_name_the_workers_and_their_tasks(flower: Flower, site: Site) -> None:
    """For Prometheus."""
    site.ask("add.delay(1, 1).get(timeout=30)")
    deadline = time.monotonic() + PATIENCE
    succeeded = 'flower_events_total{task="app.add",type="task-succeeded",worker="w1@test"}'
    while succeeded not in (metrics := flower.read("/metrics")):
        assert time.monotonic() < deadline, metrics
        site.ask("add.delay(1, 1).get(timeout=30)")
    assert 'flower_worker_online{worker="w1@test"} 1.0' in metrics


def test_a_worker_shuts_down_by_a_click(page: Page, workers: dict[str, Worker]) -> None:
    """Its last event tells Flower that it is offline."""
    page.open("/worker/w2@test")
    page.click("#worker-group")
    page.click("#worker-shutdown")
    page.wait_for_text(".toast-body", "Shutting down!")
    assert workers["w2"].wait() == 0
    page.open("/workers")
    page.wait_for(lambda: ["w2@test", "Offline"] in [row[:2] for row in page.rows("#workers-table")], "offline")


def test_the_page_of_the_broker_says_that_it_does_not_know_this_one(page: Page, flower: Flower) -> None:
    """Flower asks RabbitMQ and Redis alone how long their queues are; its other pages do not mind."""
    page.open("/broker")
    page.wait_for_text("body", "'sns-sqs' broker is not supported")
    assert "w1@test" in flower.read("/workers")


def test_it_leaves_no_queue_behind_and_has_logged_no_error(flower: Flower, site: Site) -> None:
    """When it is stopped as a service manager does."""
    assert flower.stop() == 0
    assert [queue for queue in site.queues if "celeryev" in queue or "reply" in queue] == []
    assert "[E " not in flower.log.read_text()
    assert "Traceback" not in flower.log.read_text()
