"""The journey on the command line, with the bundled model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.backends import filled_store
from jina_v3_connectors.cli.main import main
from jina_v3_connectors.errors import StoreError
from jina_v3_encoder.state import STATE_VARIABLE

from ..support.backends import shared_postgres


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    texts = tmp_path / "texts.jsonl"
    rows = [{"id": f"d{n}", "text": f"Paris has {n} bridges. They cross the Seine."} for n in range(5)]
    texts.write_text("\n".join(map(json.dumps, rows)))
    url = f"qdrant:{tmp_path / 'store'}"
    succeeded(run("ingest", str(texts), "--to", url, "--collection", "old", "--dimensions", "64"))
    return url


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed)


def succeeded(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def sides(url: str) -> tuple[str, ...]:
    return ("--from", url, "--collection", "old", "--to", url, "--into", "new")


def test_the_whole_journey(store: str, tmp_path: Path) -> None:
    plan = succeeded(run("migrate", "plan", *sides(store), "--dimensions", "256", "--json"))
    figures = json.loads(plan.stdout)
    assert (figures["totals"]["records"], figures["possible"], figures["bytes_after"]) == (5, True, 5 * 256 * 4)
    assert not (tmp_path / "store" / "new").exists()

    ran = succeeded(run("migrate", "run", *sides(store), "--dimensions", "256"))
    assert "moved 5 documents (5 chunks" in ran.stderr
    assert "complete: the new collection can be compared and switched" in ran.stderr
    assert "5 were there already" in succeeded(run("migrate", "run", *sides(store), "--dimensions", "256")).stderr

    more = tmp_path / "more.jsonl"
    more.write_text('{"id": "d9", "text": "Rome has other bridges."}')
    added = run("ingest", str(more), "--to", store, "--collection", "old", "--also-into", "new")
    assert "the collection holds 6 chunks" in succeeded(added).stderr

    assert "new: complete since" in run("migrate", "status").stdout
    assert "safe to switch" in run("migrate", "switch", "--check").stderr.replace("not safe", "")
    switched = succeeded(run("migrate", "switch", "new", "--alias", "live"))
    assert "live now stands for new" in switched.stderr
    hits = succeeded(run("search", "bridges of Rome", "--from", store, "--collection", "live", "--json")).stdout
    assert json.loads(hits.splitlines()[0])["document_id"] == "d9"
    assert "'new' is not deleted: live stands for it" in run("migrate", "drop", "--which", "new").stderr

    assert "live stands for old again" in succeeded(run("migrate", "rollback", "new")).stderr
    succeeded(run("migrate", "switch", "new", "--alias", "live"))
    assert (
        "'wrong' is not 'old': nothing was deleted" in run("migrate", "drop", "--which", "old", typed="wrong\n").stderr
    )
    assert "deleted old with 6 records" in succeeded(run("migrate", "drop", "--which", "old", typed="old\n")).stderr
    assert run("migrate", "status").stdout.startswith("no migration was begun")


@pytest.mark.parametrize("command", [sides, lambda _: ("new",), lambda _: ()], ids=["sides", "name", "the only one"])
def test_a_move_goes_on_as_it_was_begun(store: str, command: Callable[[str], tuple[str, ...]]) -> None:
    succeeded(run("migrate", "run", *sides(store), "--dimensions", "256", "--late-chunking", "--model", "nano"))
    again = succeeded(run("migrate", "run", *command(store)))
    assert "going on with the move new: --model nano --dimensions 256 --late-chunking" in again.stderr
    assert "moved 0 documents" in again.stderr
    assert "5 were there already" in again.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--dimensions", "128"), "--dimensions: begun with 256, now 128"),
        (("--blend",), "--late-chunking: begun with True, now 'blend(late=1.0, neighbours=0.3)'"),
        (("--rechunk", "30"), "--rechunk: begun with None, now 30"),
        (("--text-field", "body"), "field of text: begun with None, now 'body'"),
    ],
    ids=["dimensions", "reading", "chunks", "field"],
)
def test_a_run_with_other_settings_is_refused(store: str, options: tuple[str, ...], told: str) -> None:
    succeeded(run("migrate", "run", *sides(store), "--dimensions", "256", "--late-chunking"))
    refused = run("migrate", "run", *sides(store), *options)
    assert refused.exit_code == 1
    assert told in refused.stderr
    assert "Leave these out to go on as it was begun" in refused.stderr


def test_a_setting_that_was_left_to_its_default_is_the_contracts(store: str) -> None:
    succeeded(run("migrate", "run", *sides(store)))
    refused = run("migrate", "run", "new", "--dimensions", "64")
    assert "--dimensions: the collection has 384, you use 64" in refused.stderr
    succeeded(run("migrate", "run", "new", "--dimensions", "384", "--no-late-chunking"))


def test_the_usual_chunker_may_be_named_later(store: str) -> None:
    succeeded(run("migrate", "run", *sides(store), "--rechunk", "40"))
    succeeded(run("migrate", "run", "new", "--chunker", "splitter"))
    refused = run("migrate", "run", "new", "--chunker", "lines")
    assert "--chunker: begun with 'splitter', now 'lines'" in refused.stderr


def test_a_run_that_was_stopped_while_it_listed_goes_on_too(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was written yet, so other settings may still be given."""

    def stopped(*_: object, **__: object) -> None:
        raise StoreError("the server went away")

    with monkeypatch.context() as away:
        away.setattr("jina_v3_connectors.migration.migration.survey", stopped)
        assert run("migrate", "run", *sides(store), "--dimensions", "256").exit_code == 1
    again = succeeded(run("migrate", "run", "new", "--late-chunking"))
    assert "going on with the move new: --model nano --dimensions 256 --late-chunking" in again.stderr
    assert "256 dimensions, late chunking" in again.stderr


def test_how_chunks_are_read_is_taken_over(store: str, tmp_path: Path) -> None:
    texts = tmp_path / "long.jsonl"
    texts.write_text(json.dumps({"id": "a", "text": " ".join(f"Bridge {n} crosses the river." for n in range(20))}))
    read = ("--to", store, "--collection", "old-blend", "--chunk-tokens", "30", "--blend", "--window", "512")
    succeeded(run("ingest", str(texts), *read))
    blend = ("--from", store, "--collection", "old-blend", "--to", store)
    planned = succeeded(run("migrate", "plan", *blend, "--into", "same"))
    assert "384 dimensions, blend(late=1.0, neighbours=0.3)" in planned.stdout
    same = succeeded(run("migrate", "run", *blend, "--into", "same"))
    assert "384 dimensions, blend(late=1.0, neighbours=0.3) as the old collection" in same.stderr
    other = succeeded(run("migrate", "run", *blend, "--into", "other", "--no-late-chunking"))
    assert "384 dimensions, each chunk on its own, from" in other.stderr
    contract = filled_store(store, "same")[1].contract
    assert (contract.late_chunking, contract.window) == ("blend(late=1.0, neighbours=0.3)", 512)


@pytest.mark.parametrize("reading", ["--no-late-chunking", "--late-chunking", "--blend"])
def test_a_plan_tells_the_tokens_that_a_run_reads(store: str, tmp_path: Path, reading: str) -> None:
    """A blend reads everything twice."""
    texts = tmp_path / "long.jsonl"
    texts.write_text(json.dumps({"id": "a", "text": " ".join(f"Bridge {n} crosses the river." for n in range(20))}))
    succeeded(run("ingest", str(texts), "--to", store, "--collection", "old", "--chunk-tokens", "200"))
    planned = json.loads(succeeded(run("migrate", "plan", *sides(store), reading, "--json")).stdout)
    ran = succeeded(run("migrate", "run", *sides(store), reading))
    assert f"6 documents (6 chunks, {planned['tokens']:,} tokens)" in ran.stderr


def test_status_after_a_rollback(store: str) -> None:
    succeeded(run("migrate", "run", *sides(store)))
    succeeded(run("migrate", "switch", "new", "--alias", "live"))
    assert "  live stands for new\n" in run("migrate", "status").stdout
    succeeded(run("migrate", "rollback", "new"))
    shown = run("migrate", "status").stdout
    assert "new: rolled back since" in shown
    assert "  live stands for old again\n" in shown
    succeeded(run("migrate", "run", "new"))
    assert "  live is the name of an earlier switch\n" in run("migrate", "status").stdout


def test_a_switch_between_two_stores_promises_no_way_back(store: str, tmp_path: Path) -> None:
    """An application that names the old store finds the old collection, whatever we do."""
    other = f"qdrant:{tmp_path / 'other'}"
    between = ("--from", store, "--collection", "old", "--to", other, "--into", "new")
    told = f"and no name stands for both: searches reach the new one once your application's settings name {other}"
    assert told in succeeded(run("migrate", "plan", *between)).stdout
    succeeded(run("migrate", "run", *between))
    checked = succeeded(run("migrate", "switch", "new", "--check")).stderr
    assert "safe to switch. But the old collection is in" in checked
    assert told in checked
    switched = succeeded(run("migrate", "switch", "new", "--alias", "live")).stderr
    assert f"live now stands for new in {other}. The old collection is in" in switched
    assert "Back again" not in switched
    refused = run("migrate", "rollback", "new")
    assert refused.exit_code == 1
    assert f"'live' was not moved: the old collection is in {store}" in refused.stderr
    assert f"and go back when they name 'old' in {store} again" in refused.stderr
    succeeded(run("migrate", "drop", "new", "--which", "none"))


def test_one_name_in_two_stores_is_two_collections(store: str, tmp_path: Path) -> None:
    other = f"qdrant:{tmp_path / 'other'}"
    succeeded(run("migrate", "run", "--from", store, "--collection", "old", "--to", other, "--into", "old"))
    succeeded(run("migrate", "switch", "old", "--alias", "live"))
    refused = run("migrate", "drop", "old", "--which", "new", "--confirm", "old")
    assert "collection 'old' is not deleted: live stands for it" in refused.stderr
    dropped = succeeded(run("migrate", "drop", "old", "--which", "old", "--confirm", "old"))
    assert "deleted old with 5 records" in dropped.stderr


def test_a_collection_that_another_move_reads_is_kept(store: str) -> None:
    succeeded(run("migrate", "run", *sides(store)))
    succeeded(run("migrate", "run", "--from", store, "--collection", "old", "--to", store, "--into", "second"))
    refused = run("migrate", "drop", "new", "--which", "old", "--confirm", "old")
    assert refused.exit_code == 1
    told = "'old' is not deleted: the move second reads it too; end that one first: jina-v3 migrate drop second"
    assert told in " ".join(refused.stderr.split())
    succeeded(run("migrate", "drop", "second", "--which", "none"))
    assert (
        "deleted old with 5 records"
        in succeeded(run("migrate", "drop", "new", "--which", "old", "--confirm", "old")).stderr
    )


def test_both_sides_the_same(store: str) -> None:
    refused = run("migrate", "run", "--from", store, "--collection", "old", "--to", store, "--into", "old")
    assert "the old and the new collection are both 'old'" in refused.stderr
    assert refused.exit_code == 1


def test_records_without_text_stand_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    export = tmp_path / "export.jsonl"
    rows = [{"id": "a", "text": "A text.", "embedding": [1, 0]}, {"id": "b", "text": "", "embedding": [0, 1]}]
    export.write_text("\n".join(map(json.dumps, rows)))
    target = ("--from", str(export), "--to", f"qdrant:{tmp_path / 'store'}", "--into", "new")
    plan = run("migrate", "plan", *target)
    assert plan.exit_code == 1
    assert "IN THE WAY: 1 records have no text, so no vector can be made of them: b" in plan.stdout
    succeeded(run("migrate", "plan", *target, "--skip-bad"))
    failed = run("migrate", "run", *target)
    assert failed.exit_code == 1
    assert "no text is stored with 'b'" in failed.stderr
    assert "documents are missing in the new collection; run the same again" in failed.stderr
    skipped = run("migrate", "run", *target, "--skip-bad")
    assert skipped.exit_code == 1
    assert "MISSING: 1 documents: b" in skipped.stderr
    assert "--accept-missing 1" in run("migrate", "switch", "new", "--check").stderr
    assert "safe to switch" in run("migrate", "switch", "new", "--check", "--accept-missing", "1").stderr


@pytest.mark.parametrize(
    "command", ["plan", "run", "switch", "rollback", "drop", "status", "doctor", "compare", "demo"]
)
def test_help_shows_an_example_or_says_what_it_does(command: str) -> None:
    shown = succeeded(run("migrate", command, "--help")).output
    assert "Example:" in shown or command == "demo"


def test_nothing_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    for command in (("switch", "--check"), ("rollback",), ("drop", "--which", "old")):
        assert "no migration was begun on this machine" in run("migrate", *command).stderr
    assert not list(tmp_path.iterdir())


def test_the_demo_ends_where_it_began() -> None:
    shown = succeeded(run("migrate", "demo")).output
    assert "rollback: live stands for demo-64 again" in " ".join(shown.split())


def test_a_plan_sees_a_full_disk(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 39 * 2**20))
    plan = run("migrate", "plan", *sides(store))
    assert plan.exit_code == 1
    assert "IN THE WAY: the new collection needs about 40 MiB on its disk, 39 MiB are free" in plan.stdout


def test_whole_documents_are_cut_anew(store: str, tmp_path: Path) -> None:
    texts = tmp_path / "long.jsonl"
    sentences = " ".join(f"Sentence number {n} tells of the river." for n in range(12))
    texts.write_text(json.dumps({"id": "long", "text": sentences}))
    succeeded(run("ingest", str(texts), "--to", store, "--collection", "old", "--chunk-tokens", "200"))
    moved = succeeded(run("migrate", "run", *sides(store), "--rechunk", "30", "--late-chunking"))
    assert "moved 6 documents (9 chunks" in moved.stderr
    hits = succeeded(run("search", "Sentence number 11", "--from", store, "--collection", "new", "--json")).stdout
    best = [json.loads(line) for line in hits.splitlines()]
    assert all(sentences[slice(*hit["span"])] == hit["text"] for hit in best if hit["document_id"] == "long")


def test_a_chunkers_options_are_kept_with_a_move(store: str, tmp_path: Path) -> None:
    texts = tmp_path / "long.jsonl"
    sentences = " ".join(f"Sentence number {n} tells of the river." for n in range(12))
    texts.write_text(json.dumps({"id": "long", "text": sentences}))
    succeeded(run("ingest", str(texts), "--to", store, "--collection", "old", "--chunk-tokens", "200"))
    cutting = ("--rechunk", "100", "--chunker", "sentences", "--chunk-sentences", "3", "--chunk-overlap", "1")
    assert "moved 6 documents (11 chunks" in succeeded(run("migrate", "run", *sides(store), *cutting)).stderr
    again = succeeded(run("migrate", "run", "new"))
    assert "--rechunk 100 --chunker sentences --chunk-overlap 1 --chunk-sentences 3" in again.stderr
    assert "moved 0 documents" in again.stderr
    refused = run("migrate", "run", "new", "--chunk-sentences", "4")
    assert refused.exit_code
    assert "--chunk-sentences: begun with 3, now 4" in refused.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--chunker", "lines", "--min-chunk-tokens", "9"), "--chunker, --min-chunk-tokens without --rechunk TOKENS"),
        (("--rechunk", "30", "--chunk-overlap", "2"), "the chunker splitter has no overlap"),
        (("--rechunk", "30", "--chunker", "llm-topics"), "asks a language model: name its address and the model"),
        (
            ("--rechunk", "30", "--llm", "http://me:Hunter2@127.0.0.1:9/v1", "--llm-model", "m"),
            "give it without, and the key as $JINA_V3_LLM_KEY",
        ),
    ],
    ids=["kept chunks", "overlap", "no model", "password"],
)
def test_a_chunkers_options_are_checked_before_anything_is_noted(
    store: str, options: tuple[str, ...], told: str
) -> None:
    refused = run("migrate", "run", *sides(store), *options)
    assert refused.exit_code
    assert told in " ".join(refused.stderr.split())
    assert "Hunter2" not in refused.stderr
    assert "no migration was begun" in run("migrate", "status").stdout


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A table of an application: three texts."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    with shared_postgres().database() as url:
        sql(
            url,
            "CREATE EXTENSION vector",
            "CREATE TABLE articles (id bigserial PRIMARY KEY, body text, embedding vector(8))",
            "INSERT INTO articles (body) VALUES ('One bridge.'), ('Two rivers.'), ('Three banks.')",
        )
        yield url


def sql(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_status_counts_what_triggers_noted(database: str) -> None:
    moved = ("--from", database, "--collection", "articles", "--to", database, "--into", "new", "--dimensions", "64")
    succeeded(run("migrate", "run", *moved))
    assert "0 changes of others wait, noted by triggers" in run("migrate", "status").stdout
    sql(database, "UPDATE articles SET body = 'Changed.' WHERE id < 3")
    assert "2 changes of others wait, noted by triggers" in run("migrate", "status", "new").stdout
    figures = json.loads(run("migrate", "status", "--json").stdout)
    assert (figures["waiting"], figures["waiting_rows"], figures["unknown"]) == (0, 2, None)
    sql(database, "ALTER TABLE articles DISABLE TRIGGER ALL")
    shown = succeeded(run("migrate", "status")).stdout
    assert "how many changes of others wait is not known: the triggers that note changes of 'articles' are not" in shown


def test_status_asks_again_for_a_password_that_is_not_kept(database: str) -> None:
    url = database.replace("postgres@", "postgres:Hunter2@")
    moved = ("--from", url, "--collection", "articles", "--to", url, "--into", "new", "--dimensions", "64")
    succeeded(run("migrate", "run", *moved))
    shown = succeeded(run("migrate", "status")).stdout
    assert "was kept without its password: give the whole URL once more" in shown
    known = run("migrate", "status", "--from", url)
    assert "0 changes of others wait" in known.stdout
    assert "Hunter2" not in shown + known.output


def test_a_password_reaches_both_collections_and_is_kept_nowhere(database: str, tmp_path: Path) -> None:
    """An ingest into both sides of a move within one server, then of one between two stores."""
    url = database.replace("postgres@", "postgres:Hunter2@")
    texts = tmp_path / "more.jsonl"
    texts.write_text('{"id": "d9", "text": "Rome has other bridges."}')
    into_old = ("ingest", str(texts), "--collection", "old", "--dimensions", "64")
    said = [succeeded(run(*into_old, "--to", url))]
    moved = ("--collection", "old", "--to", url, "--dimensions", "128")
    said.append(succeeded(run("migrate", "run", "--from", url, *moved, "--into", "new")))
    texts.write_text('{"id": "d9", "text": "Rome has none."}')
    said.append(succeeded(run(*into_old, "--to", url, "--also-into", "new")))
    said.append(run("migrate", "status", "new", "--from", url))

    folder = f"qdrant:{tmp_path / 'folder'}"
    said.append(succeeded(run(*into_old, "--to", folder)))
    said.append(succeeded(run("migrate", "run", "--from", folder, *moved, "--into", "other")))
    texts.write_text('{"id": "d9", "text": "Rome has many."}')
    refused = run(*into_old, "--to", folder, "--also-into", "other")
    assert "was kept without its password: give the whole URL once more" in refused.stderr
    said += [refused, succeeded(run(*into_old, "--to", folder, "--also-into", "other", "--also-to", url))]
    wrong = run(*into_old, "--to", folder, "--also-into", "other", "--also-to", url.replace("/db_", "/x_"))
    assert wrong.exit_code == 1
    assert "the new store of this migration is postgresql://***@/db_" in wrong.stderr
    another = run(*into_old, "--to", f"{folder}2", "--also-into", "other")
    assert "the old store of this migration is qdrant:" in another.stderr

    for collection, text in (("new", "Rome has none."), ("other", "Rome has many.")):
        hits = succeeded(run("search", "Rome", "--from", url, "--collection", collection, "--json"))
        assert json.loads(hits.stdout)["text"] == text
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"Hunter2" not in kept
    assert "Hunter2" not in "".join(result.output for result in (*said, wrong, another))


def test_the_new_store_is_named_for_a_move_only(store: str, tmp_path: Path) -> None:
    refused = run("ingest", str(tmp_path / "texts.jsonl"), "--to", store, "--also-to", store)
    assert "--also-to goes with --also-into NAME" in refused.stderr


def test_no_repr_shows_an_address(database: str) -> None:
    from jina_v3_connectors.cli.migrate_options import SourceChoice
    from jina_v3_connectors.migration.opening import Sides, store_opener

    url = database.replace("postgres@", "postgres:Hunter2@")
    assert "Hunter2" not in repr((Sides(url, url), SourceChoice(url, "docs"), store_opener(url)))


def test_no_name_of_ours_stands_for_a_table_of_an_application(database: str) -> None:
    moved = ("--from", database, "--collection", "articles", "--to", database, "--into", "new", "--dimensions", "64")
    succeeded(run("migrate", "run", *moved))
    told = "'articles' is a table of another project, and no name of ours can stand for it"
    assert told in succeeded(run("migrate", "switch", "new", "--check")).stderr
    assert told in succeeded(run("migrate", "switch", "new", "--alias", "live")).stderr
    refused = run("migrate", "rollback", "new")
    assert refused.exit_code == 1
    assert told in refused.stderr
