"""The demo page in headless Chromium, as a person uses it: keyboard, phone, dark, errors."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from jina_v3_connectors import Document, SemanticChunker, demo
from jina_v3_connectors.demo.collections import Collections
from jina_v3_connectors.demo.corpus import Corpus
from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server.settings import hash_key
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import FakeEncoder
from tests.demo.test_corpus import Lines

from ..support.running import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
HOSTILE = "<img src=x onerror=alert(1)> 😀 first line\n<script>document.title='broken'</script> second line 🎉\nthird"

expect.set_options(timeout=60_000)  # a busy machine is no failure

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def corpus(nano: Encoder) -> Corpus:
    return Corpus(nano, demo.documents(), SemanticChunker(nano.tokenizer_file, demo.CHUNK_TOKENS))


@pytest.fixture(scope="module")
def site(nano: Encoder, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    stores = [str(folder / "qdrant"), f"milvus:{folder / 'demo.db'}"]
    with running(nano, collections=Collections(corpus, stores)) as url:
        yield url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, site: str) -> Iterator[Page]:
    """The page after its first answer; nothing may be logged, nor asked of another host."""
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(site) else told.append(request.url))
    opened(page, site)
    yield page
    assert told == []


def opened(page: Page, site: str) -> Page:
    page.goto(site)
    expect(page.locator("#heat button").first).to_be_visible()
    return page


def ask(page: Page, text: str) -> None:
    page.get_by_label("Question", exact=True).fill(text)
    with page.expect_response("**/demo/search"):
        page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("searched in")


def search(site: str, **question: Any) -> Any:
    base = {"store": "Qdrant, embedded", "dimensions": demo.DIMENSIONS, "task": "retrieval.query"}
    return httpx.post(f"{site}/demo/search", json={**base, **question}, timeout=60).json()


def test_the_first_sight_shows_an_answer(page: Page, site: str) -> None:
    expect(page.locator("#question")).to_have_value(demo.LATE_QUESTION.text)
    expect(page.locator("#model")).to_contain_text("nano")
    expect(page.locator("#model")).to_contain_text("16 documents")
    expect(page.locator("#hits-plain li")).to_have_count(5)
    expect(page.locator("#hits-late li")).to_have_count(5)
    answer = search(site, question=demo.LATE_QUESTION.text)
    for mode in ("plain", "late", "blend"):
        shown = page.locator(f"#hits-{mode} .score").all_inner_texts()
        assert shown == [f"{hit['score']:.2f}" for hit in answer["hits"][mode]]


def test_a_question_is_typed_and_sent_by_keyboard_alone(page: Page) -> None:
    page.locator("body").click(position={"x": 1, "y": 1})
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.locator("#question")).to_be_focused()
    ask(page, demo.QUESTIONS[0].text)
    expect(page.locator("#hits-late strong").first).to_have_text("How honey bees talk")


def test_the_passage_is_marked_inside_its_document(page: Page) -> None:
    (bees,) = (document for document in demo.documents() if document.id == "bees")
    ask(page, demo.QUESTIONS[0].text)
    best = page.locator("#hits-late li").first
    marked = best.locator("mark").inner_text()
    assert marked in bees.text
    assert best.locator(".document").evaluate("node => node.textContent") == bees.text
    second = page.locator("#hits-late li").nth(1)
    expect(second.locator(".document")).to_be_hidden()
    second.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(second.locator("mark")).to_be_visible()


def test_examples_ask_in_seven_languages(page: Page) -> None:
    buttons = page.locator("#examples button")
    expect(buttons).to_have_count(7)
    assert buttons.evaluate_all("all => all.map(one => one.lang)") == [question.language for question in demo.QUESTIONS]
    with page.expect_response("**/demo/search"):
        buttons.nth(1).click()
    expect(page.locator("#question")).to_have_value("Was hat Gutenberg erfunden?")
    expect(page.locator("#hits-late strong").first).to_have_text("Johannes Gutenberg")


@pytest.mark.parametrize(
    ("select", "value", "change"),
    [
        ("#dimensions", "32", {"dimensions": 32}),
        ("#task", "separation", {"task": "separation"}),
        ("#task", "", {"task": None}),
        ("#limit", "3", {"limit": 3}),
        ("#store", "Milvus, embedded", {"store": "Milvus, embedded"}),
    ],
)
def test_every_choice_asks_again(page: Page, site: str, select: str, value: str, change: dict[str, Any]) -> None:
    with page.expect_response("**/demo/search"):
        page.locator(select).select_option(value)
    answer = search(site, question=demo.LATE_QUESTION.text, **change)
    expect(page.locator("#hits-late .score").first).to_have_text(f"{answer['hits']['late'][0]['score']:.2f}")
    expect(page.locator("#hits-plain li")).to_have_count(len(answer["hits"]["plain"]))
    note = page.locator("#task-note")
    expect(note).to_be_visible() if select == "#task" else expect(note).to_be_hidden()


def test_stores_agree(page: Page) -> None:
    shown = page.locator("#hits-late").inner_text()
    with page.expect_response("**/demo/search"):
        page.locator("#store").select_option("Milvus, embedded")
    expect(page.locator("#status")).to_contain_text("searched in")
    assert page.locator("#hits-late").inner_text() == shown


def test_a_store_says_that_it_is_not_started_until_it_is(
    context: BrowserContext, nano: Encoder, corpus: Corpus, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with running(nano, collections=Collections(corpus, [str(tmp_path), f"qdrant+http://127.0.0.1:{port}"])) as url:
        page = opened(context.new_page(), url)
        embedded, there = page.locator("#store option").all()
        expect(there).to_have_text(f"Qdrant at 127.0.0.1:{port} – not started")
        expect(embedded).to_have_text("Qdrant, embedded")
        with socket.create_server(("127.0.0.1", port)):
            page.locator("#store").focus()
            expect(there).to_have_text(f"Qdrant at 127.0.0.1:{port}")
        expect(there).to_have_attribute("value", f"Qdrant at 127.0.0.1:{port}")


def test_the_heat_map_shows_every_cosine(page: Page, site: str) -> None:
    cosines = search(site, question=demo.LATE_QUESTION.text)["cosines"]
    labels = page.locator("#heat button").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    shown = sorted(float(label.rpartition(" ")[2]) for label in labels)
    both = sorted(round(value, 2) for value in [*cosines["plain"], *cosines["late"], *cosines["blend"]])
    assert shown == pytest.approx(both, abs=0.0101)
    warmest = page.locator("#heat button").evaluate_all(
        "all => all.filter(one => one.style.getPropertyValue('--share') === '100%').map(one => one.innerText)"
    )
    assert warmest == [f"{max(both):.2f}"[2:]]


def test_arrows_walk_the_heat_map_and_tell_of_each_cell(page: Page) -> None:
    cells = page.locator("#heat button")
    assert cells.evaluate_all("all => all.filter(one => one.tabIndex === 0).length") == 1, "one stop for the tab key"
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    expect(cells.nth(1)).to_be_focused()
    expect(page.locator("#heat-info")).to_contain_text("La tour Eiffel, chunk 2")
    expect(page.locator("#heat-info")).to_contain_text("Elle mesure 330 mètres")
    page.keyboard.press("ArrowDown")
    rows = cells.evaluate_all("all => [all[1].dataset.row, document.activeElement.dataset.row]")
    assert rows[0] != rows[1]
    page.keyboard.press("End")
    expect(cells.last).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cells.last).to_be_focused()
    page.keyboard.press("Home")
    expect(cells.first).to_be_focused()


@pytest.mark.parametrize("mode", ["plain", "late", "blend"])
def test_the_map_has_points_rings_and_the_question(page: Page, corpus: Corpus, mode: str) -> None:
    chart = page.locator(f"#map-{mode}")
    expect(chart.locator(".dot")).to_have_count(corpus.chunks)
    expect(chart.locator(".hit")).to_have_count(5)
    expect(chart.locator(".star")).to_have_count(1)
    expect(chart.locator(".name")).to_have_count(16)
    outside = chart.locator(".dot").evaluate_all("""all => {
      const box = all[0].ownerSVGElement.getBoundingClientRect();
      return all.filter((dot) => {
        const own = dot.getBoundingClientRect();
        return own.left < box.left || own.right > box.right || own.top < box.top || own.bottom > box.bottom;
      }).length;
    }""")
    assert outside == 0
    chart.locator(".dot").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#map-info")).to_contain_text("The Eddystone Lighthouse, chunk 2")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, site: str, width: int) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        page = opened(context.new_page(), site)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate(
            "[...document.querySelectorAll('main *, form *')].filter((one) => one.innerText?.trim())"
            ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
        )
        assert min(sizes) >= 12
        columns = page.locator("#hits-plain").bounding_box(), page.locator("#hits-late").bounding_box()
        assert columns[0] is not None
        assert columns[1] is not None
        side_by_side = columns[0]["x"] < columns[1]["x"]
        assert side_by_side == (width >= 768)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(browser: Browser, site: str, scheme: Any) -> None:
    with browser.new_context(color_scheme=scheme, bypass_csp=True) as context:  # axe itself is an inline script
        report = Axe().run(opened(context.new_page(), site)).response
        assert [(violation["id"], violation["nodes"][0]["html"]) for violation in report["violations"]] == []


def test_hostile_texts_stay_texts(browser: Browser, tmp_path: Path) -> None:
    encoder = FakeEncoder(dimensions=64)
    documents = [Document("<b>id</b>", HOSTILE, {"title": "<i>title</i>", "lang": "en"})]
    corpus = Corpus(encoder, documents, Lines())
    with running(encoder, collections=Collections(corpus, [str(tmp_path)])) as url, browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#status")).to_have_text("Ask something.")
        ask(page, "second line 🎉")
        expect(page.locator("#hits-plain mark").first).to_have_text(HOSTILE.split("\n")[1])
        expect(page.locator("#hits-plain strong").first).to_have_text("<i>title</i>")
        assert page.title() == "jina-embeddings-v3 on this machine"
        assert page.locator("main img, main script, main i").count() == 0


def test_injected_scripts_are_refused_by_the_policy(context: BrowserContext, site: str) -> None:
    page = opened(context.new_page(), site)
    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "document.title = 'broken'";
      document.body.append(script);
    }""")
    assert page.title() == "jina-embeddings-v3 on this machine"


def test_a_key_is_asked_for_and_then_used(browser: Browser, tmp_path: Path) -> None:
    encoder = FakeEncoder(dimensions=64)
    settings = ServerSettings(key_hashes=frozenset({hash_key("sesame")}))
    collections = Collections(Corpus(encoder, [Document("a", "red apples")], Lines()), [str(tmp_path)])
    with running(encoder, settings, collections) as url, browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#error")).to_contain_text("asks for a key")
        key = page.get_by_label("Key")
        expect(key).to_be_focused()
        key.fill("wrong")
        key.press("Tab")
        expect(page.locator("#error")).to_contain_text("not known")
        key.fill("sesame")
        key.press("Tab")
        expect(page.locator("#model")).to_contain_text("1 document ·")
        ask(page, "apples")
        expect(page.locator("#hits-late li")).to_have_count(1)
        assert (
            page.evaluate("JSON.stringify([localStorage.length, sessionStorage.length, document.cookie])") == '[0,0,""]'
        )


def test_a_server_that_went_away_is_told(browser: Browser, tmp_path: Path) -> None:
    encoder = FakeEncoder(dimensions=64)
    collections = Collections(Corpus(encoder, [Document("a", "red apples")], Lines()), [str(tmp_path)])
    with browser.new_context() as context:
        page = context.new_page()
        with running(encoder, collections=collections) as url:
            page.goto(url)
            ask(page, "apples")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("alert")).to_contain_text("does not answer")


def test_too_long_a_question_is_told_in_the_servers_words(context: BrowserContext, site: str) -> None:
    page = opened(context.new_page(), site)
    page.locator("#question").evaluate("node => { node.maxLength = 99999; node.value = 'x'.repeat(5000) }")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("4000")
    ask(page, "bees")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_without_scripts_the_page_says_what_to_do(browser: Browser, site: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site)
        expect(page.locator("#model")).to_contain_text("needs JavaScript")
