"""`jina-v3 eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task

from .chunkers import DEFAULT, ChunkerChoice, chunker_options
from .options import ModelChoice, default_task_option, model_options, task_or_default
from .terminal import printable

if TYPE_CHECKING:
    from rich.table import Table

    from jina_v3_encoder import Encoder

    from ..evaluation.dataset import Dataset
    from ..evaluation.intervals import Interval
    from ..evaluation.report import Difference, EvalReport


@click.command("eval")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--split", default="test", show_default=True, help="Reads qrels/SPLIT.tsv.")
@click.option("--dimensions", metavar="N,N,…", help="Sizes to compare; default the trained ones.")
@click.option(
    "--late-chunking",
    type=click.Choice(["on", "off", "both", "blend", "all"]),
    default="all",
    show_default=True,
    help="Chunks read inside their document, on their own, both beside each other, both added, or all of these.",
)
@chunker_options(default=None)
@click.option("--window", type=int, help="Tokens read at once; default the model's own, 1024 in a blend.")
@click.option(
    "--overlap",
    type=int,
    help="Tokens shared by windows; default 512, at most half; 0 in a blend or a model's own window.",
)
@default_task_option("--query-task", Task.RETRIEVAL_QUERY)
@default_task_option("--passage-task", Task.RETRIEVAL_PASSAGE)
@click.option(
    "--json", "as_json", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), help="- is stdout."
)
@click.option("--plot", "plot_file", type=click.Path(path_type=Path, dir_okay=False), help=".png, .svg or .pdf")
@model_options
def command(
    folder: Path,
    split: str,
    dimensions: str | None,
    late_chunking: str,
    cutting: ChunkerChoice,
    window: int | None,
    overlap: int | None,
    query_task: str | None,
    passage_task: str | None,
    as_json: Path | None,
    plot_file: Path | None,
    choice: ModelChoice,
) -> None:
    """Measure retrieval on your own queries, to choose dimensions and chunking before you index.

    FOLDER holds corpus.jsonl ("_id", "text", optional "title"), queries.jsonl ("_id", "text") and qrels/test.tsv
    (query-id, corpus-id, score), as the BEIR datasets do. Rows of corpus.jsonl with a "document" are consecutive
    chunks of it; other rows are cut by --chunk-tokens, and their best chunk counts. Texts past the model's limit are
    cut. Shown: nDCG@10, recall@10 and MRR@10, and what a smaller size keeps of the full one's nDCG.

    With --chunker, rows of one "document" are joined and cut anew: a chunk is right that shares at least half of the
    answer, or half of itself, with it. The answer is the "answer" of the query, else the right row. "in its document"
    is nDCG@10 among the chunks of the right document alone.

    \b
    Examples:
      jina-v3 eval my-data --plot sizes.png
      jina-v3 eval my-data --dimensions 512,128 --late-chunking off --json -
      jina-v3 eval my-data --chunker splitter,sentences,semantic --late-chunking both
    """
    from ..evaluation.dataset import read_dataset
    from ..evaluation.plot import SUFFIXES, plot
    from ..evaluation.ranking import load_measures

    if plot_file is not None and plot_file.suffix not in SUFFIXES:
        raise InvalidInput(f"--plot {plot_file} must end in {', '.join(SUFFIXES)}")
    if plot_file is not None and len(cutting.names) > 1:
        raise InvalidInput("--plot draws one chunker: leave it out, or give --chunker one name")
    load_measures()
    dataset = read_dataset(folder, split)
    encoder = choice.load()
    if late_chunking != "off":
        encoder.info.window_size(window, overlap, blend=late_chunking in ("blend", "all"))
    elif window is not None or overlap is not None:
        raise InvalidInput("--window and --overlap belong to late chunking: leave them out with --late-chunking off")
    reports = [
        _evaluate(
            dataset,
            encoder,
            name,
            cutting,
            sizes=_sizes(dimensions, encoder),
            late_chunking=late_chunking,
            windows=(window, overlap),
            tasks=(
                task_or_default(query_task, Task.RETRIEVAL_QUERY, encoder),
                task_or_default(passage_task, Task.RETRIEVAL_PASSAGE, encoder),
            ),
        )
        for name in (cutting.names or (None,))
    ]
    _show(reports, as_json)
    if plot_file is not None:
        plot(reports[0], plot_file)


def _evaluate(
    dataset: Dataset,
    encoder: Encoder,
    name: str | None,
    cutting: ChunkerChoice,
    *,
    sizes: list[int],
    late_chunking: str,
    windows: tuple[int | None, int | None],
    tasks: tuple[str | None, str | None],
) -> EvalReport:
    """The figures of the chunker of a name; None leaves rows that are chunks as they are."""
    from rich.console import Console

    from ..evaluation.encoding import PassageEncoder
    from ..evaluation.recut import recut
    from ..evaluation.report import evaluate

    notes = Console(stderr=True)
    chunker = cutting.build(name or DEFAULT, encoder.tokenizer_file, lambda: encoder)
    if name is not None and dataset.chunked:
        notes.print(f"cutting by {name}", style="dim")
        dataset = recut(dataset, chunker)
    passages = PassageEncoder(encoder, tasks[1], chunker, *windows, progress=notes.is_terminal)
    report = evaluate(
        dataset,
        passages,
        variants=passages.variants(
            dataset,
            alone=late_chunking not in ("on", "blend"),
            late=late_chunking in ("on", "both", "all"),
            blend=late_chunking in ("blend", "all"),
        ),
        dimensions=sizes,
        query_task=tasks[0],
        announce=lambda text: notes.print(text, style="dim"),
    )
    report.chunker = name
    return report


def _show(reports: list[EvalReport], as_json: Path | None) -> None:
    """One report as before, several under "chunkers"."""
    from rich.console import Console

    if str(as_json) != "-":
        for report in reports:
            Console().print(_table(report))
            for difference in report.differences:
                Console().print(_sentence(difference), highlight=False)
    if as_json is not None:
        values = [report.to_dict() for report in reports]
        with click.open_file(str(as_json), "w", encoding="utf-8") as sink:
            written = values[0] if len(values) == 1 else {"chunkers": values}
            sink.write(json.dumps(written, ensure_ascii=False, indent=1) + "\n")


def _sizes(text: str | None, encoder: Encoder) -> list[int]:
    if text is None:
        return sorted({*encoder.info.trained_dimensions, encoder.dimensions}, reverse=True)
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidInput(f"--dimensions {text!r} must be whole numbers with commas between, such as 256,64") from None
    return sorted({encoder.info.check_dimensions(size) for size in sizes}, reverse=True)


def _sentence(difference: Difference) -> str:
    from ..evaluation.intervals import FEWEST

    def shown(interval: Interval, documents: int) -> str:
        if documents < FEWEST:
            return f"{interval.mean:+.3f} (an interval needs {FEWEST} documents or more, here are {documents})"
        return f"{interval.mean:+.3f} (95 % interval {interval.low:+.3f} to {interval.high:+.3f})"

    sides = f"{difference.variant} − {difference.minus}, {difference.dimensions} dimensions"
    sentence = f"{sides}: {shown(difference.all, difference.documents)}"
    if difference.context is not None:
        sentence += (
            f"; in the {difference.context_questions:,} questions that name a document whose right chunk does not: "
            f"{shown(difference.context, difference.context_documents)}"
        )
    return sentence


def _table(report: EvalReport) -> Table:
    from rich.markup import escape
    from rich.table import Table

    inside = any(figures.inside is not None for figures in report.figures)
    title = f"{report.dataset}: {report.queries:,} queries, {report.passages:,} passages, {report.model}"
    if report.chunker is not None:
        title += f", chunker {report.chunker}"
    table = Table(title=escape(printable(title)), title_justify="left")
    columns = ["", "dimensions", "nDCG@10", "kept", "recall@10", "MRR@10", *(["in its document"] if inside else [])]
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    before = None
    for figures in report.figures:
        if before not in (None, figures.variant):
            table.add_section()
        name = str(figures.variant) if figures.variant != before else ""
        before = figures.variant
        values = [f"{figures.ndcg:.3f}", f"{figures.kept:.1%}", f"{figures.recall:.3f}", f"{figures.mrr:.3f}"]
        extra = [] if figures.inside is None else [f"{figures.inside:.3f}"]
        table.add_row(name, str(figures.dimensions), *values, *extra)
    return table
