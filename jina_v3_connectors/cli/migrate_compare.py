"""`jina-v3 migrate compare`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task

from .migrate_moves import known_migration, remembered, sides_of_move
from .migrate_options import (
    OLD_MODEL,
    OLD_TASK,
    SourceChoice,
    html_option,
    named_encoder,
    old_model_options,
    progress_bars,
    side_options,
)
from .options import ModelChoice, as_task_name, encoder_options
from .terminal import json_line, printable

if TYPE_CHECKING:
    from rich.table import Table

    from ..migration.comparison import Comparison
    from ..migration.recipe import Recipe
    from ..migration.records import Source

SHOWN_CHANGED = 5
"""Changed questions in the table. JSON and page have twenty."""


@click.command("compare")
@click.argument("name", required=False)
@side_options
@click.option(
    "--questions",
    "questions_file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help='Lines of text, or .jsonl lines with "text" and, if you like, "id" and "lang".',
)
@click.option(
    "--judgements",
    "judgements_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Question id, document id and grade on each line, .tsv or .jsonl as the qrels of BEIR.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    help="The loss of nDCG@10 that you accept. An interval that spans it decides nothing.",
)
@click.option(
    "--threshold",
    "thresholds",
    type=float,
    multiple=True,
    metavar="SCORE",
    help="A threshold of the old scores: the new one that keeps as many hits is shown. May be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=50),
    default=10,
    show_default=True,
    help="Documents of a question that overlap looks at.",
)
@click.option("--unchecked", is_flag=True, help="Do not check that the models made the vectors that are stored.")
@click.option("--require-go", is_flag=True, help="End with status 1 unless the verdict is GO.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@html_option
@click.option("--allow-download", is_flag=True, help="Download models that the collections name, if they are not here.")
@old_model_options
@encoder_options
def command(
    name: str | None,
    source: SourceChoice | None,
    target: SourceChoice | None,
    questions_file: Path,
    judgements_file: Path | None,
    tolerance: float,
    thresholds: tuple[float, ...],
    limit: int,
    unchecked: bool,
    require_go: bool,
    as_json: bool,
    html_file: Path | None,
    allow_download: bool,
    old_model: str | None,
    old_task: str | None,
    choice: ModelChoice,
) -> None:
    """Ask the old and the new collection the same questions before you switch.

    NAME is the migration that `run` began; nothing is needed where there is one only. Any two collections can be
    compared: name them with --from, --collection, --to and --into.

    Both are searched exactly, in one pass each, so that differences are the models' and not an index's. Questions alone
    show how much changes: the documents that both find, rank-biased overlap, scores and thresholds, and the questions
    that changed most. That is change, not quality. Judgements add nDCG@10, recall@10 and MRR@10 with an interval from
    10,000 resamples, and a verdict: GO, NO-GO, or UNDECIDED where the questions are too few.

    First a sample of both collections is encoded again. If the vectors are not those that are stored, nothing is
    compared. The new model is the one that the new collection names; --model says where it lies. The old one is named
    by its collection too, or by --old-model.

    \b
    Example:
      jina-v3 migrate compare articles-v3 --questions questions.txt --old-model jinaai/jina-embeddings-v2-base-en
      jina-v3 migrate compare --from postgresql://host/shop --collection articles --text-field body \\
        --old-model jinaai/jina-embeddings-v2-base-en --to qdrant:./store --into articles-v3 \\
        --questions questions.jsonl --judgements qrels.tsv --html compared.html
    """
    from rich.console import Console

    from ..migration.compare import Side, compare
    from ..migration.comparison_page import comparison_page
    from ..migration.questions import judgements_of, read_questions
    from ..migration.ranking import Verdict

    questions = read_questions(questions_file)
    judgements = None if judgements_file is None else judgements_of(judgements_file, questions)
    if require_go and judgements is None:
        raise InvalidInput("--require-go needs --judgements: without them there is no verdict")
    old, new = sides_of_move(name, source, target)
    begun = name is not None or source is None
    new_choice = remembered(choice, known_migration(name).spec.model) if begun else choice
    with closing(old.open()) as old_source, closing(new.open()) as new_source:
        new_recipe = _contract_recipe(new, new_source, new_choice, download=allow_download or choice.model is not None)
        old_recipe = _old_recipe(old, old_source, old_model, old_task, choice, download=allow_download)
        with progress_bars(Console(stderr=True)) as advance:
            comparison = compare(
                questions,
                Side(old.name, old_source, old_recipe),
                Side(new.name, new_source, new_recipe),
                judgements=judgements,
                limit=limit,
                tolerance=tolerance,
                thresholds=thresholds,
                checked=not unchecked,
                advance=advance,
            )
    if html_file is not None:
        html_file.write_text(comparison_page(comparison), encoding="utf-8")
    if as_json:
        click.echo(json_line(comparison.to_dict()))
    else:
        console = Console()
        for part in _shown(comparison):
            console.print(part)
    if require_go and (comparison.judged is None or comparison.judged.verdict is not Verdict.GO):
        raise SystemExit(1)


def _contract_recipe(target: SourceChoice, source: Source, choice: ModelChoice, *, download: bool) -> Recipe:
    """How a collection says that it was filled, with the encoder that it names."""
    from ..errors import ContractMissing
    from ..migration.recipe import contract_recipe

    contract = source.contract
    if contract is None:
        raise ContractMissing(target.name)
    encoder = choice.text_encoder(contract.model, contract.revision, download=download)
    return contract_recipe(encoder, contract, target.name)


def _old_recipe(
    source: SourceChoice,
    opened: Source,
    old_model: str | None,
    old_task: str | None,
    choice: ModelChoice,
    *,
    download: bool,
) -> Recipe:
    """What the old collection says of itself, or what the user says of it."""
    from ..migration.recipe import contract_recipe, task_recipe

    contract = opened.contract
    if contract is not None:
        if old_task is not None:
            raise InvalidInput(f"{source.name} says itself how it was filled: leave {OLD_TASK} out")
        local = ModelChoice(old_model, None, choice.device, choice.dtype, choice.quantize, choice.threads)
        encoder = local.text_encoder(contract.model, contract.revision, download=download or old_model is not None)
        return contract_recipe(encoder, contract, source.name)
    if old_model is None:
        raise InvalidInput(f"{source.name} does not say which model filled it: name it with {OLD_MODEL}")
    if opened.dimensions is None:
        raise InvalidInput(f"{source.name} holds no vectors, so there is nothing to compare with")
    encoder = named_encoder(old_model, choice)
    passage = Task.RETRIEVAL_PASSAGE.value if Task.RETRIEVAL_PASSAGE in encoder.tasks else None
    return task_recipe(encoder, opened.dimensions, passage if old_task is None else as_task_name(old_task))


def _shown(comparison: Comparison) -> Iterator[Table | str]:
    """Tables and lines for people."""
    from rich.markup import escape

    yield _summary(comparison)
    if comparison.judged is not None:
        yield f"[bold]{comparison.judged.verdict}[/bold]: {escape(comparison.judged.reason)}"
    for note in comparison.notes:
        yield f"note: {escape(printable(note))}"
    if comparison.languages:
        yield _languages(comparison)
    yield _scores(comparison)
    if comparison.changed:
        yield _changed(comparison)


def _summary(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from ..migration.comparison import MEASURES

    table = Table(title=f"{comparison.questions:,} questions", title_justify="left")
    for column in ("", "old", "new", "new − old", "95% interval"):
        table.add_column(column, justify="right" if column else "left")
    sides = (comparison.old, comparison.new)
    table.add_row("collection", *(escape(printable(side.collection)) for side in sides))
    table.add_row("model", *(escape(printable(side.model)) for side in sides))
    table.add_row("questions with", *(side.query_task or "no task" for side in sides))
    table.add_row("documents", *(f"{side.documents:,}" for side in sides))
    for measure in comparison.judged.measures if comparison.judged else ():
        difference = measure.difference
        table.add_row(
            MEASURES[measure.name],
            f"{measure.old:.3f}",
            f"{measure.new:.3f}",
            f"{difference.mean:+.3f}",
            f"{difference.low:+.3f} to {difference.high:+.3f}",
        )
    table.add_section()
    table.add_row(f"overlap@{comparison.limit}", "", f"{comparison.overlap:.1%}")
    table.add_row("rank-biased overlap", "", f"{comparison.rbo:.3f}")
    return table


def _languages(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="By language", title_justify="left")
    for column in ("", "questions", f"overlap@{comparison.limit}", "RBO", "nDCG@10 old", "new"):
        table.add_column(column, justify="right" if column else "left")
    for line in comparison.languages:
        scores = ["" if score is None else f"{score:.3f}" for score in (line.old_ndcg, line.new_ndcg)]
        name = escape(printable(line.language)) or "not named"
        table.add_row(name, f"{line.questions:,}", f"{line.overlap:.1%}", f"{line.rbo:.3f}", *scores)
    return table


def _scores(comparison: Comparison) -> Table:
    from rich.table import Table

    table = Table(title="Scores of hits", title_justify="left")
    for column in ("", "old", "new"):
        table.add_column(column, justify="right")
    for line in comparison.percentiles:
        table.add_row(f"{line.percent}% below", f"{line.old:.3f}", f"{line.new:.3f}")
    if comparison.thresholds:
        table.add_section()
    for threshold in comparison.thresholds:
        new = "none" if threshold.new is None else f"{threshold.new:.3f}"
        table.add_row(f"threshold, {threshold.reached:.0%} reach it", f"{threshold.old:.3f}", new)
    return table


def _changed(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from ..migration.comparison import SHOWN_HITS
    from .tables import shorten

    shown = comparison.changed[:SHOWN_CHANGED]
    title = f"The {len(shown)} questions that changed most, with {SHOWN_HITS} hits each"
    table = Table(title=title, title_justify="left", show_lines=True, expand=True)
    table.add_column("question", overflow="fold", ratio=2)
    table.add_column("RBO", justify="right")
    table.add_column("old", overflow="fold", ratio=3)
    table.add_column("new", overflow="fold", ratio=3)
    for changed in shown:
        answers = [
            "\n".join(f"{answer.score:.3f} {printable(answer.document)}" for answer in side)
            for side in (changed.old, changed.new)
        ]
        table.add_row(escape(shorten(changed.question.text)), f"{changed.rbo:.3f}", *map(escape, answers))
    return table
