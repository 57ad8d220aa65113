"""What each adapter learns from, as token ids behind the adapter's prompt; every batch depends on the step alone."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tokenizers import Tokenizer

from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.task import Task

from .backbone import encode_all, pick
from .corpus import Corpus, Pair
from .teacher import Targets
from .textbooks import Document
from .training import IntArray

QUERY_TOKENS = 64
PASSAGE_TOKENS = 176
CONTEXTS = {768: 0.35, 1536: 0.35, 3072: 0.2, 6144: 0.1}
DOCUMENT_QUERIES = 10
PER_CLUSTER = 3
SOURCES = {
    "textbooks": 0.32,
    "medicine": 0.26,
    "terms": 0.1,
    "commands": 0.1,
    "reading": 0.1,
    "abstracts": 0.07,
    "trivia": 0.05,
}
LABEL_SETS = {
    Task.CLASSIFICATION: {"clinc150": 0.45, "hwu64": 0.35, "goemotions": 0.1, "sib200": 0.1},
    Task.SEPARATION: {"trivia": 0.6, "sections": 0.25, "sib200": 0.15},
}


@dataclass(frozen=True)
class Example:
    """Token ids, the row of the teacher's vector (-1: none) and the group of one text."""

    ids: IntArray
    row: int
    group: str


@dataclass
class Chunked:
    """The chunks of one text, and (query, number of its chunk)."""

    chunks: list[Example] = field(default_factory=list)
    asked: list[tuple[Example, int]] = field(default_factory=list)


class AdapterData:
    """Tokenised examples of all five adapters."""

    def __init__(self, config: ModelConfig, corpus: Corpus, tokenizer: Tokenizer, targets: Targets) -> None:
        self.config, self.tokenizer, self.targets = config, tokenizer, targets
        self.prompt = encode_all(tokenizer, [config.prompt(Task.RETRIEVAL_PASSAGE)], 64, specials=False)[0]
        self.pairs = self._pairs(corpus.pairs)
        self.documents = [document for document in corpus.documents if document.questions]
        self.translations = [translation for translation in corpus.translations if translation[1] in targets.row]
        self.near = [pair for pair in corpus.near if all(text in targets.row for text in pair)]
        self.labelled = {
            Task.CLASSIFICATION: {name: _by_label(labelled_texts) for name, labelled_texts in corpus.labelled.items()},
            Task.SEPARATION: {name: _by_label(labelled_texts) for name, labelled_texts in corpus.clusters.items()},
        }

    def examples(
        self, texts: Sequence[str], task: Task, limit: int, groups: Sequence[str] | None = None
    ) -> list[Example]:
        prompt = self.config.prompt(task)
        ids = encode_all(self.tokenizer, [prompt + text for text in texts], limit)
        rows = [self.targets.row.get(text, -1) for text in texts]
        return [Example(*fields) for fields in zip(ids, rows, groups or texts, strict=True)]

    def pairs_of(self, order: random.Random, count: int) -> tuple[list[Example], list[Example]]:
        """Pairs of one source, several of a cluster together: other answers about one subject are hard negatives."""
        clusters = self.pairs[pick(order, SOURCES)]
        chosen: list[Pair] = []
        while len(chosen) < count:
            cluster = order.choice(clusters)
            chosen += order.sample(cluster, min(PER_CLUSTER, len(cluster)))
        groups = [pair.group for pair in chosen[:count]]
        queries = self.examples([p.query for p in chosen[:count]], Task.RETRIEVAL_QUERY, QUERY_TOKENS, groups)
        passages = self.examples([p.passage for p in chosen[:count]], Task.RETRIEVAL_PASSAGE, PASSAGE_TOKENS, groups)
        return queries, passages

    def crossing_pairs(self, order: random.Random, count: int) -> tuple[list[Example], list[Example]]:
        """Translations in either direction; both sides have the English side's target."""
        chosen = order.sample(self.translations, count)
        sides = [(x, english) if order.random() < 0.6 else (english, x) for x, english, _ in chosen]
        groups = [english for _, english, _ in chosen]
        rows = [self.targets.row[english] for english in groups]
        both_sides = []
        for side, task in ((0, Task.RETRIEVAL_QUERY), (1, Task.RETRIEVAL_PASSAGE)):
            plain = self.examples([pair[side] for pair in sides], task, PASSAGE_TOKENS, groups)
            both_sides.append(
                [Example(example.ids, row, example.group) for example, row in zip(plain, rows, strict=True)]
            )
        return both_sides[0], both_sides[1]

    def chunked(self, order: random.Random) -> Chunked:
        """A text of one context length: sections one after another, with queries for each."""
        room, context = pick(order, CONTEXTS), Chunked()
        while room > 0:
            room = self._add_section(order, context, room)
        return context

    def _add_section(self, order: random.Random, context: Chunked, room: int) -> int:
        """Chunks of one document, its own questions, and queries that name what only its title names; room left."""
        number_of_document = order.randrange(len(self.documents))
        document, first = self.documents[number_of_document], len(context.chunks)
        for number, row in enumerate(encode_all(self.tokenizer, document.chunks, PASSAGE_TOKENS, specials=False)):
            room -= len(row)
            if room < 0 and context.chunks:
                break
            context.chunks.append(
                Example(row, self.targets.row[document.named(number)], f"{number_of_document}#{number}")
            )
        count = len(context.chunks) - first
        asked = [question for question in document.questions if question[1] < count]
        asked = order.sample(asked, min(len(asked), DOCUMENT_QUERIES // 2))
        others = order.sample(range(count), min(count, DOCUMENT_QUERIES - len(asked)))
        asked += [(context_query(order, document, number), number) for number in others]
        queries = self.examples([text for text, _ in asked], Task.RETRIEVAL_QUERY, QUERY_TOKENS)
        for query, (_, number) in zip(queries, asked, strict=True):
            group = context.chunks[first + number].group
            context.asked.append((Example(query.ids, -1, group), first + number))
        return room

    def near_pairs(self, order: random.Random, count: int) -> list[Example]:
        """Both sides of `count` English sentence pairs that were collected for being more or less alike."""
        sides = [text for pair in order.sample(self.near, count) for text in pair]
        return self.examples(sides, Task.TEXT_MATCHING, QUERY_TOKENS)

    def known_texts(self, order: random.Random, task: Task, count: int) -> list[Example]:
        """Half translations under their English side's target, half other short texts the teacher has read."""
        texts, rows = [], []
        for _ in range(count // 2):
            text, english, _ = order.choice(self.translations)
            texts += [text, order.choice(self.targets.texts)[:200]]
            rows += [self.targets.row[english], -1]
        plain = self.examples(texts, task, QUERY_TOKENS)
        pairs = zip(plain, rows, strict=True)
        known = [example if row < 0 else Example(example.ids, row, example.group) for example, row in pairs]
        return [example for example in known if example.row >= 0]

    def labelled_texts(
        self, order: random.Random, task: Task, classes: int, per_class: int
    ) -> tuple[list[Example], list[int]]:
        table = self.labelled[task][pick(order, LABEL_SETS[task])]
        labels = order.sample(sorted(table), min(classes, len(table)))
        each = per_class * classes // len(labels)
        chosen = [(text, n) for n, label in enumerate(labels) for text in _some(order, table[label], each)]
        return self.examples([text for text, _ in chosen], task, PASSAGE_TOKENS), [n for _, n in chosen]

    def _pairs(self, pairs: Sequence[Pair]) -> dict[str, list[list[Pair]]]:
        by_source: dict[str, dict[str, list[Pair]]] = defaultdict(lambda: defaultdict(list))
        for pair in pairs:
            by_source[pair.source][pair.cluster].append(pair)
        return {source: list(clusters.values()) for source, clusters in by_source.items()}


def document_ids(chunked: Chunked, prompt: IntArray, first: int) -> tuple[IntArray, IntArray]:
    """Ids of the whole document behind the prompt, and which vector each token belongs to, counted from `first`."""
    parts = [np.array([0]), prompt, *(chunk.ids for chunk in chunked.chunks), np.array([2])]
    last = first + len(chunked.chunks) - 1
    owners = [np.full(1 + len(prompt), first)]
    owners += [np.full(len(chunk.ids), first + n) for n, chunk in enumerate(chunked.chunks)]
    return np.concatenate(parts), np.concatenate([*owners, np.array([last])])


def context_query(order: random.Random, document: Document, number: int) -> str:
    """The document's subject and a few words of one chunk, in their order."""
    words = re.findall(r"\w{4,}", document.chunks[number]) or [document.chunks[number]]
    kept = sorted(order.sample(range(len(words)), min(len(words), order.randint(3, 7))))
    return f"{document.title}: {' '.join(words[n] for n in kept)}"


def _by_label(labelled_texts: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    table: dict[str, list[str]] = defaultdict(list)
    for text, label in labelled_texts:
        table[label].append(text)
    return {label: texts for label, texts in table.items() if len(texts) > 1}


def _some(order: random.Random, texts: list[str], count: int) -> list[str]:
    return order.sample(texts, min(count, len(texts)))
