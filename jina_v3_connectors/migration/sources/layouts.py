"""The layouts of records that are known, in one ordered table, and how text, document and metadata are taken from each.

Every framework keeps a chunk in its own way. A layout is recognised in a sample of a collection's records; the first
one of the table that most of them fit is taken. What the user names goes before what a layout says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from jina_v3_encoder.errors import InvalidInput

from ...errors import StoreError
from ...stored_chunk import stored_chunk
from ..records import FieldNames, Record

Fields: TypeAlias = Mapping[str, Any]
TEXT_OPTION = "--text-field"
METADATA_FIELDS = ("metadata", "meta", "metadata_", "cmetadata", "langchain_metadata")
"""Fields that may hold an object, or JSON of one, with what is said of a text."""
TEXTS = ("text", "content", "page_content", "document", "chunk", "chunk_text", "body", "passage", "data", "description")
DOCUMENTS = ("document_id", "doc_id", "ref_doc_id", "source_id", "parent_id", "file_id")
ORIGINS = ("source", "file_path", "file_name", "url")
"""They name a document only beside the number or the place of a chunk. Alone they may say no more than "wikipedia"."""
ORDERS = ("chunk", "chunk_index", "chunk_number", "chunk_id", "split_id", "order", "position", "seq")
STARTS = ("start", "start_index", "start_char_idx", "split_idx_start")
ENDS = ("end", "end_index", "end_char_idx")
KEY_ENDS = ("id", "key", "pk", "uuid")
"""How the names of fields end that may hold a record's key."""
OURS = frozenset({"document_id", "chunk", "start", "end", "text", "metadata"})
OF_LLAMA_INDEX = frozenset({"_node_content", "_node_type", "document_id", "doc_id", "ref_doc_id"})
OF_LANGCHAIN = (
    frozenset({"page_content", "metadata"}),
    frozenset({"document", "cmetadata"}),
    frozenset({"content", "langchain_metadata"}),
)
OF_CHROMA = frozenset({"document", "metadata"})
BESIDE_CHROMA = frozenset({"id", "embedding", "uri"})
OF_LLM = frozenset({"content", "content_hash", "collection_id"})
NO_DOCUMENT = "None"
"""What LlamaIndex writes where a node has no document."""
SHOWN_FIELDS = 30


class Parts(NamedTuple):
    """What a record's fields say."""

    text: str | None = None
    document_id: str | None = None
    order: int | None = None
    start: int | None = None
    end: int | None = None
    metadata: Fields = MappingProxyType({})


@dataclass(frozen=True)
class Layout:
    """A way to keep a text and what belongs to it."""

    name: str
    fits: Callable[[Fields], bool]
    """Whether a record may be of this layout."""
    parts: Callable[[str, Fields], Parts]
    """What a record says, given its key and its fields."""


@dataclass(frozen=True)
class Recognised:
    """The layout of a collection, and what the user says about it."""

    layout: Layout
    names: FieldNames

    def record(self, key: str, fields: Fields) -> Record:
        """A record without its vector."""
        record = Record(key, **self.layout.parts(key, fields)._asdict())
        names, changes = self.names, dict[str, Any]()
        if names.text is not None:
            changes["text"] = _text(looked_up(fields, names.text))
        if names.document is not None:
            changes["document_id"] = _id(looked_up(fields, names.document))
        if names.order is not None:
            changes["order"] = _whole(looked_up(fields, names.order))
        if names.metadata is not None:
            values = {name: looked_up(fields, name) for name in names.metadata}
            changes["metadata"] = {name: value for name, value in values.items() if value is not None}
        return replace(record, **changes)


def recognised(
    sample: Sequence[tuple[str, Fields]], names: FieldNames, where: str, *, ours: bool = False
) -> Recognised:
    """The layout of `sample`, some keys and fields of records; `where` names the collection in errors.

    `ours` says that the collection has a contract. It may have been adopted, with records that lack some fields.

    Raises:
        InvalidInput: a named field is in none of these records.
        StoreError: it is not known which field holds the text.
    """
    _check_names([fields for _, fields in sample], names, where)
    known = LAYOUTS[:1] if ours else [row for row in LAYOUTS if _most(row.fits(fields) for _, fields in sample)]
    layout = next(iter(known), None)
    result = Recognised(layout or plain([fields for _, fields in sample]), names)
    if sample and not any(result.record(key, fields).text for key, fields in sample):
        raise StoreError(
            f"{where}: it is not known which field holds the text; say it with {TEXT_OPTION}. "
            f"The fields are: {shown_fields(fields for _, fields in sample)}"
        )
    return result


def plain(sample: Sequence[Fields]) -> Layout:
    """A layout of fields with usual names, as `sample` has them, at the top or in an object such as `metadata`."""
    flat = [_flat(fields) for fields in sample]
    text = _usual(flat, TEXTS, _text)
    order, start, end = (_usual(flat, usual, _whole) for usual in (ORDERS, STARTS, ENDS))
    document = _usual(flat, (*DOCUMENTS, *ORIGINS) if order or start else DOCUMENTS, _id)

    def parts(key: str, fields: Fields) -> Parts:
        values = _flat(fields)
        content, first, last = _text(values.pop(text, None)), _whole(values.get(start)), _whole(values.get(end))
        return Parts(
            text=content,
            document_id=_id(values.get(document)),
            order=_whole(values.get(order)),
            start=first,
            end=_end(first, content) if last is None else last,
            metadata=_without_key(key, values),
        )

    return Layout("plain", lambda _: True, parts)


def looked_up(fields: Fields, name: str) -> Any:
    """The value of a field, or of one inside an object, as in `meta.body`. None where there is none."""
    if name in fields:
        return fields[name]
    head, dot, rest = name.partition(".")
    return looked_up(as_object(fields.get(head)), rest) if dot else None


def shown_fields(sample: Iterable[Fields]) -> str:
    """The names of all fields, for an error."""
    names = list(dict.fromkeys(name for fields in sample for name in _names(fields)))
    more = f" and {len(names) - SHOWN_FIELDS} more" if len(names) > SHOWN_FIELDS else ""
    return (", ".join(names[:SHOWN_FIELDS]) or "none") + more


def as_object(value: object) -> dict[str, Any]:
    """A mapping, or JSON of one, as a new dict; empty for anything else."""
    if isinstance(value, str | bytes) and value[:1] in ("{", b"{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def _ours(key: str, fields: Fields) -> Parts:
    chunk = stored_chunk(key, fields)
    return Parts(chunk.text, chunk.document_id, chunk.number, chunk.start, chunk.end, chunk.metadata)


def _llama_index(key: str, fields: Fields) -> Parts:
    """The node is JSON in one field. Its text may have been moved to a field of its own."""
    values = _flat(fields)
    node = as_object(values.get("_node_content"))
    text = _text(node.get("text")) or _text(as_object(node.get("text_resource")).get("text"))
    aside = next((name for name in TEXTS if text is None and _text(fields.get(name))), None)
    known = (values.get(name) for name in ("ref_doc_id", "doc_id", "document_id"))
    document = next((value for value in known if _id(value) and value != NO_DOCUMENT), None)
    return Parts(
        text=text if aside is None else _text(fields[aside]),
        document_id=_id(document),
        start=_whole(node.get("start_char_idx")),
        end=_whole(node.get("end_char_idx")),
        metadata=_without_key(key, {name: values[name] for name in values if name not in {*OF_LLAMA_INDEX, aside}}),
    )


def _haystack(key: str, fields: Fields) -> Parts:
    """The object `meta` is the user's; a splitter adds where a chunk comes from."""
    text, metadata = _text(fields.get("content")), as_object(fields.get("meta"))
    start = _whole(metadata.get("split_idx_start"))
    document = _id(metadata.get("source_id")) or _id(fields.get("id")) or key
    return Parts(text, document, _whole(metadata.get("split_id")), start, _end(start, text), metadata)


def _langchain(_: str, fields: Fields) -> Parts:
    """A document of several pages has one `source`, and each page counts its characters from 0."""
    text = next(filter(None, (_text(fields.get(name)) for name in ("page_content", "document", "content"))), None)
    metadata = next(filter(None, (as_object(fields.get(name)) for name in METADATA_FIELDS)), {})
    source, page = _id(metadata.get("source")), metadata.get("page")
    document = f"{source}, page {page}" if source and isinstance(page, int) else source
    start = _whole(metadata.get("start_index"))
    if start is None:  # a source alone may say no more than "wikipedia"
        document = None
    return Parts(text, document, None, start, _end(start, text), metadata)


def _chroma(key: str, fields: Fields) -> Parts:
    parts = plain([fields]).parts(key, fields)
    return parts._replace(text=_text(fields.get("document")), metadata=as_object(fields.get("metadata")))


def _llm(key: str, fields: Fields) -> Parts:
    """Each record is a document of its own."""
    return Parts(_text(fields.get("content")), key, metadata=as_object(fields.get("metadata")))


LAYOUTS = (
    Layout("jina-v3", lambda fields: fields.keys() >= OURS, _ours),
    Layout("LlamaIndex", lambda fields: "_node_content" in _flat(fields), _llama_index),
    Layout("Haystack", lambda fields: fields.keys() >= {"content", "meta"}, _haystack),
    Layout("LangChain", lambda fields: any(fields.keys() >= names for names in OF_LANGCHAIN), _langchain),
    Layout("llm", lambda fields: fields.keys() >= OF_LLM, _llm),
    Layout("Chroma", lambda fields: OF_CHROMA <= fields.keys() <= OF_CHROMA | BESIDE_CHROMA, _chroma),
)
"""In the order in which they are tried. What fits none of them is `plain`."""


def _most(truths: Iterable[bool]) -> bool:
    """Whether half of them hold, or more."""
    held = list(truths)
    return any(held) and 2 * sum(held) >= len(held)


def _usual(sample: Sequence[Fields], names: Sequence[str], convert: Callable[[object], object]) -> str:
    """The first of `names` at which most records hold such a value; empty where there is none."""
    return next((name for name in names if _most(convert(fields.get(name)) is not None for fields in sample)), "")


def _flat(fields: Fields) -> dict[str, Any]:
    """The fields, with those of an object such as `metadata` beside them. A field at the top goes before these."""
    top, inner = dict[str, Any](), dict[str, Any]()
    for name, value in fields.items():
        values = as_object(value) if name in METADATA_FIELDS else {}
        if values or (name in METADATA_FIELDS and value in (None, {}, "{}")):
            inner |= values
        else:
            top[name] = value
    return inner | top


def _without_key(key: str, fields: Fields) -> dict[str, Any]:
    """Without the field that is the record's key: it says nothing of the text. A page number that equals it stays."""

    def is_key(name: str, value: object) -> bool:
        return name.lower().endswith(KEY_ENDS) and not isinstance(value, bool) and str(value) == key

    return {name: value for name, value in fields.items() if not is_key(name, value)}


def _names(fields: Fields) -> Iterator[str]:
    for name, value in fields.items():
        yield name
        if name in METADATA_FIELDS:
            yield from (f"{name}.{key}" for key in as_object(value))


def _check_names(sample: Sequence[Fields], names: FieldNames, where: str) -> None:
    options = {TEXT_OPTION: names.text, "--document-field": names.document, "--order-field": names.order}
    wanted = [(option, name) for option, name in options.items() if name is not None]
    wanted += [("--metadata-field", name) for name in names.metadata or ()]
    for option, name in wanted:
        if sample and all(looked_up(fields, name) is None for fields in sample):
            raise InvalidInput(
                f"{where}: {option} names {name!r}, which none of the first {len(sample)} records has. "
                f"The fields are: {shown_fields(sample)}"
            )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _id(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    return str(value) if isinstance(value, int) else _text(value)


def _whole(value: object) -> int | None:
    """Some backends give every number back as a float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _end(start: int | None, text: str | None) -> int | None:
    return None if start is None or text is None else start + len(text)
