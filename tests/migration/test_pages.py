"""The pages in headless Chromium: without barriers, on a phone, in the dark, and without a word to other hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from jina_v3_connectors.migration.compare import Side, compare
from jina_v3_connectors.migration.comparison_page import comparison_page
from jina_v3_connectors.migration.diagnosis_page import diagnosis_page
from jina_v3_connectors.migration.doctor import diagnose
from jina_v3_connectors.migration.questions import Question
from jina_v3_connectors.migration.recipe import task_recipe
from jina_v3_encoder.testing import FakeEncoder
from tests.demo.test_browser import ARGUMENTS, CHROMIUM
from tests.support.texts import ANSWERS

from .memory import MemorySource, encoded

HOSTILE = "<img src=http://other.example/x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["compare", "doctor"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything on it, from texts that try to get out of it."""
    large, small = FakeEncoder(dimensions=64), FakeEncoder(dimensions=32)
    texts = [f"{passage} {HOSTILE}" for _, _, passage in ANSWERS]
    old = MemorySource(encoded(large, texts, None))
    if request.param == "compare":
        new = MemorySource(encoded(small, texts[:-1], "text-matching"))
        questions = [
            Question(f"{HOSTILE}{number}", f"{english} {HOSTILE}", "en" if number % 2 else HOSTILE)
            for number, (english, _, _) in enumerate(ANSWERS)
        ]
        judgements = {question.id: {f"k{number}": 1} for number, question in enumerate(questions)}
        sides = (
            Side(HOSTILE, old, task_recipe(large, 64, None)),
            Side("new", new, task_recipe(small, 32, "text-matching")),
        )
        content = comparison_page(compare(questions, *sides, judgements=judgements, thresholds=[0.2]))
    else:
        records = encoded(large, texts, None)
        records[0] = replace(records[0], key=HOSTILE, vector=np.zeros(64, np.float32), metadata={"model": HOSTILE})
        records[1] = replace(records[1], text=None, metadata={"model": "another"})
        content = diagnosis_page(diagnose(MemorySource(records), HOSTILE, encoders=[large]))
    written = tmp_path_factory.mktemp("pages") / f"{request.param}.html"
    written.write_text(content, encoding="utf-8")
    return written


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(browser: Browser, file: Path, scheme: Any) -> None:
    with browser.new_context(color_scheme=scheme, bypass_csp=True) as context:  # axe itself is an inline script
        page = context.new_page()
        page.goto(file.as_uri())
        report = Axe().run(page).response
        assert [(violation["id"], violation["nodes"][0]["html"]) for violation in report["violations"]] == []


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, file: Path, width: int) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_texts_stay_texts_and_nobody_else_is_asked(browser: Browser, file: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.on("request", lambda request: told.append(request.url))
        page.goto(file.as_uri())
        assert told == [file.as_uri()]
        assert page.title() in ("Old and new collection compared", "A collection before it is moved")
        assert page.locator("img, script, link").count() == 0
        assert page.locator("svg").count() >= 2
        assert HOSTILE in page.locator("main").inner_text()


def test_the_policy_refuses_scripts(browser: Browser, file: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(file.as_uri())
        page.evaluate("""() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'broken'";
          document.body.append(script);
        }""")
        assert page.title() != "broken"
