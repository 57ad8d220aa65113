"""Stage 7: a finished model learns passages alone, inside their documents, and both added, beside questions.

The backbone and the two retrieval adapters learn. What the other adapters, and none, gave before is a target, so that
it stays. Measured without this stage: alone .621, late .620, both added .636 (nDCG@10, SQuAD in chunks of 40 words).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from jina_v3_encoder import Encoder
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint, load_model
from jina_v3_encoder.checkpoints.save import save_checkpoint
from jina_v3_encoder.network.batching import Reading
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.network.packed import PackedNetwork
from jina_v3_encoder.task import Task
from jina_v3_encoder.texts.blend import BLEND_WINDOW

from .adapter_data import PASSAGE_TOKENS, QUERY_TOKENS, AdapterData, Example, context_query
from .adapters import BATCH_PAIRS, AdapterLosses
from .backbone import encode_all, pick
from .context_data import Wanted, basis_of, reduced, teacher_texts, texts_with_new_tokens, wanted_of
from .corpus import Corpus, read_corpus
from .losses import contrast, imitate, repeated
from .teacher import Targets, write_targets
from .titled import Titled, hide_title, read_titled
from .training import IntArray, Trainer, pooled
from .warm_start import tokenizer_from

ADAPTER_RATE, BACKBONE_RATE, TOKEN_RATE = 4e-3, 2e-4, 5e-4
KINDS = {"documents": 0.46, "pairs": 0.17, "crossing": 0.14, "words": 0.13, "kept": 0.1}
BATCH_CROSSING = 64
BATCH_TOKENS = 2600
ONE_SOURCE = 0.6
"""Share of batches from one collection: all are near, so that only the context tells them apart."""
EAST_ASIAN = 0.3
TITLE_IN_FRONT, TITLE_HIDDEN = 0.3, 0.7
QUESTIONS = 8
"""Of a document, half of them made of its title and a few words."""
KEPT_TEXTS = 80
BATCH_WORDS = 64
KEPT_TASKS = (Task.TEXT_MATCHING, Task.CLASSIFICATION, Task.SEPARATION, None)
DISEASES, SECTIONS = 1000, 450
SHARE = 0.5
"""How far the weights go from the old ones to those that were trained (Wortsman et al. 2022). The whole way costs the
other sets a little; half of it costs nothing, and gains more."""
Loss = tuple[Tensor, int]


@dataclass
class _Batch:
    """Chunks of several documents, and questions, each with the number of its chunk."""

    alone: list[IntArray]
    inside: list[Reading]
    hidden: list[bool]
    """Chunks that do not name their subject any more."""
    wanted: list[Wanted]
    groups: list[str]
    asked: list[Example]
    answers: list[int]


class ContextLosses:
    """Losses that depend on the step alone."""

    def __init__(
        self,
        model: JinaV3Model,
        before: Encoder,
        data: AdapterData,
        titled: Sequence[Titled],
        words: Sequence[str],
        basis: Tensor,
        seed: int,
    ) -> None:
        """`before` is the model as it was; `words` are texts with tokens that it did not have."""
        self.model, self.before, self.data, self.basis, self.seed = model, before, data, basis, seed
        self.retrieval = AdapterLosses(model, data, basis)
        self.by_source: dict[str, list[Titled]] = defaultdict(list)
        for each in titled:
            self.by_source[each.source].append(each)
        tables = [labels for table in data.labelled.values() for labels in table.values()]
        self.short = [text for labels in tables for texts in labels.values() for text in texts]
        self.bank = model.config.bank(Task.RETRIEVAL_PASSAGE)
        self.words = [text for text in words if text in data.targets.row]

    def of(self, step: int) -> Loss:
        order = random.Random(f"{self.seed} {step}")
        kind = pick(order, KINDS if self.words else {**KINDS, "words": 0.0})
        if kind == "pairs":
            return self.retrieval.paired(*self.data.pairs_of(order, BATCH_PAIRS))
        if kind == "crossing":
            return self.retrieval.paired(*self.data.crossing_pairs(order, BATCH_CROSSING))
        if kind == "words":
            return self.texts_with_new_tokens(order)
        return self._kept(order) if kind == "kept" else self.documents(order)

    def documents(self, order: random.Random) -> Loss:
        """Questions for chunks read alone and inside their documents, and the teacher's vectors for both."""
        batch = self._batch(order)
        chunks = len(batch.groups)
        readings = [Reading(ids, self.bank, np.full(len(ids), number)) for number, ids in enumerate(batch.alone)]
        readings += [Reading(part.ids, part.bank, part.owners + chunks) for part in batch.inside]
        queries = [
            Reading(
                example.ids, self.model.config.bank(Task.RETRIEVAL_QUERY), np.full(len(example.ids), 2 * chunks + n)
            )
            for n, example in enumerate(batch.asked)
        ]
        vectors = pooled(self.model, readings + queries, 2 * chunks + len(queries))
        alone, inside, asked = torch.split(vectors, [chunks, chunks, len(queries)])
        device = vectors.device
        wanted_inside = torch.cat([each.inside for each in batch.wanted]).to(device)
        shown = torch.tensor([not hidden for hidden in batch.hidden], device=device)
        loss = self._asked(batch, asked, inside) + 0.4 * imitate(inside, wanted_inside)
        loss = loss + 0.3 * imitate(alone[shown], torch.cat([each.alone for each in batch.wanted]).to(device)[shown])
        named = [n for n, answer in enumerate(batch.answers) if not batch.hidden[answer]]
        loss = loss + 0.5 * self._asked(batch, asked, alone, named)
        return loss, sum(len(reading.ids) for reading in readings + queries)

    def _asked(self, batch: _Batch, asked: Tensor, chunks: Tensor, kept: Sequence[int] | None = None) -> Tensor:
        """Contrast of the questions, or of those in `kept`, over all chunks of the batch."""
        numbers = range(len(batch.answers)) if kept is None else kept
        answers, others = [batch.answers[n] for n in numbers], {batch.answers[n] for n in numbers}
        columns = answers + [n for n in range(len(chunks)) if n not in others]
        same = repeated([batch.groups[n] for n in answers], [batch.groups[n] for n in columns]).to(chunks.device)
        return contrast(asked[list(numbers)], chunks[columns], same)

    def _batch(self, order: random.Random) -> _Batch:
        batch = _Batch([], [], [], [], [], [], [])
        pool = self._pool(order)
        room = BATCH_TOKENS
        while room > 0:
            room -= self._add(order, batch, order.choice(pool))
        return batch

    def _pool(self, order: random.Random) -> Sequence[Titled]:
        """Documents of one language: of one source, or of all."""
        if order.random() < EAST_ASIAN:
            return self.by_source[order.choice(("zh", "ja"))]
        if order.random() < ONE_SOURCE:
            return self.by_source[order.choice(("medicine", "textbooks"))]
        return self.by_source["medicine"] + self.by_source["textbooks"]

    def _add(self, order: random.Random, batch: _Batch, titled: Titled) -> int:
        """Add as much of a document as a window holds. The tokens added."""
        document, first = titled.document, len(batch.groups)
        hides = bool(document.title) and order.random() < TITLE_HIDDEN
        texts, hidden = hide_title(document, order) if hides else (document.chunks, [False] * len(document.chunks))
        ids = encode_all(self.data.tokenizer, texts, PASSAGE_TOKENS, specials=False)
        title = encode_all(self.data.tokenizer, [f"{document.title}."], 32, specials=False)[0]
        head = [np.array([0]), self.data.prompt]
        if document.title and order.random() < TITLE_IN_FRONT:
            head.append(title)
        fitting = np.cumsum([len(part) for part in ids]) + sum(map(len, head)) < BLEND_WINDOW
        count = max(1, int(fitting.sum()))
        parts, end = ids[:count], np.array([2])
        owners = [np.full(sum(map(len, head)), first), *(np.full(len(part), first + n) for n, part in enumerate(parts))]
        batch.inside.append(
            Reading(
                np.concatenate([*head, *parts, end]),
                self.bank,
                np.concatenate([*owners, np.array([first + count - 1])]),
            )
        )
        batch.alone += [np.concatenate([np.array([0]), self.data.prompt, part, end]) for part in parts]
        batch.hidden += hidden[:count]
        whole = self._wanted(titled)
        batch.wanted.append(Wanted(whole.alone[:count], whole.inside[:count]))
        batch.groups += [f"{document.title} {chunk[:60]}" for chunk in document.chunks[:count]]
        self._ask(order, batch, titled, first, count)
        return len(batch.inside[-1].ids)

    def _ask(self, order: random.Random, batch: _Batch, titled: Titled, first: int, count: int) -> None:
        document = titled.document
        asked = [question for question in document.questions if question[1] < count]
        asked = order.sample(asked, min(len(asked), QUESTIONS // 2 if document.title else QUESTIONS))
        if document.title:
            others = order.sample(range(count), min(count, QUESTIONS - len(asked)))
            asked += [(context_query(order, document, number), number) for number in others]
        examples = self.data.examples([text for text, _ in asked], Task.RETRIEVAL_QUERY, QUERY_TOKENS)
        batch.asked += examples
        batch.answers += [first + number for _, number in asked]

    def _wanted(self, titled: Titled) -> Wanted:
        """The teacher's vectors; of languages that it does not read, the model's own of before."""
        if titled.document.title:
            return wanted_of(titled, self.data.targets, self.basis)
        vectors = torch.from_numpy(self.before.encode(titled.document.chunks, task="retrieval.passage", truncate=True))
        return Wanted(vectors, vectors)

    def texts_with_new_tokens(self, order: random.Random) -> Loss:
        """The teacher's vectors of texts with new tokens, without an adapter or as passages."""
        task = order.choice((None, Task.RETRIEVAL_PASSAGE))
        texts = order.sample(self.words, min(len(self.words), BATCH_WORDS))
        rows = [self.data.targets.row[text] for text in texts]
        targets = torch.from_numpy(self.data.targets.vectors[rows].astype(np.float32)) @ self.basis
        readings = self._short_readings(texts, task)
        loss = imitate(pooled(self.model, readings, len(readings)), targets.to(self.basis.device))
        return loss, sum(len(reading.ids) for reading in readings)

    def _short_readings(self, texts: Sequence[str], task: Task | None) -> list[Reading]:
        prompt = self.model.config.prompt(task) if task else ""
        bank = None if task is None else self.model.config.bank(task)
        ids = encode_all(self.data.tokenizer, [prompt + text for text in texts], PASSAGE_TOKENS)
        return [Reading(row, bank, np.full(len(row), number)) for number, row in enumerate(ids)]

    def _kept(self, order: random.Random) -> Loss:
        """What another adapter, or none, gave to short texts of all languages."""
        task = order.choice(KEPT_TASKS)
        texts = [text for pair in order.sample(self.data.translations, KEPT_TEXTS // 4) for text in pair[:2]]
        texts += order.sample(self.short, KEPT_TEXTS - len(texts))
        targets = torch.from_numpy(self.before.encode(texts, task=task, truncate=True)).to(self.basis.device)
        readings = self._short_readings(texts, task)
        loss = 2 * imitate(pooled(self.model, readings, len(readings)), targets)
        return loss, sum(len(reading.ids) for reading in readings)


def rate_of(name: str) -> float:
    """Adapters learn faster than what they are added to, and so do tokens, of which a batch has few."""
    if "lora" in name:
        return ADAPTER_RATE
    return TOKEN_RATE if name == "word_embeddings.weight" else BACKBONE_RATE


def train_context(
    start: Path, like: Path, data: Path, work: Path, out: Path, minutes: float, *, seed: int = 0, device: str = "cpu"
) -> None:
    """Go on from the checkpoint in `start`, and write another one to `out`; `like` is the model as it was."""
    before = Encoder.from_pretrained(like, device=device)
    corpus: Corpus = read_corpus(data, 0)
    titled = read_titled(data, 0, DISEASES, SECTIONS)
    small = reduced(corpus, titled)
    checkpoint = find_checkpoint(start)
    tokenizer = tokenizer_from(checkpoint.tokenizer_file)
    words = texts_with_new_tokens(corpus, tokenizer, tokenizer_from(find_checkpoint(like).tokenizer_file))
    work.mkdir(parents=True, exist_ok=True)
    write_targets(list(dict.fromkeys([*teacher_texts(small, titled), *words])), work, device)
    targets = Targets(work)
    basis = basis_of(targets, before, 0).to(device)
    model = load_model(checkpoint, torch.float32).to(device)
    if not isinstance(model, JinaV3Model):
        raise click.UsageError(f"{start} is no model of jina-embeddings-v3's architecture")
    adapters = AdapterData(model.config, small, tokenizer, targets)
    losses = ContextLosses(model, before, adapters, titled, words, basis, seed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith("pooler"))
    Trainer(model, minutes * 60, rate_of, 0.0, work / f"context-{seed}.safetensors").run("context", losses.of)
    between(model.cpu(), load_model(checkpoint, torch.float32), SHARE)
    save_checkpoint(model, checkpoint.tokenizer_file, out)


@torch.no_grad()
def between(model: JinaV3Model, before: PackedNetwork, share: float) -> None:
    """Set the weights to a point between `before` and the model's. Adapters of other tasks become those of before."""
    model.cast(torch.float32)
    others = [model.config.bank(task) for task in KEPT_TASKS if task is not None]
    for name, parameter in model.named_parameters():
        old = before.get_parameter(name)
        parameter.lerp_(old, 1 - share)
        if "lora" in name:
            parameter[others] = old[others]


@click.command()
@click.option("--start", type=click.Path(path_type=Path, exists=True), required=True, help="A finished checkpoint.")
@click.option("--like", type=click.Path(path_type=Path, exists=True), help="Of before its tokens.  [default: --start]")
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of *.jsonl.gz files.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for stages; keep it to resume.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the checkpoint is written.")
@click.option("--minutes", default=22.0, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the order; the data stay the same.")
def main(
    start: Path,
    like: Path | None,
    data: Path,
    work: Path,
    out: Path,
    minutes: float,
    device: str,
    threads: int,
    seed: int,
) -> None:
    """Teach a finished model to read chunks inside their documents. It may be stopped and started again."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    train_context(start, like or start, data, work, out, minutes, seed=seed, device=device)


if __name__ == "__main__":
    main()
