"""The root content item, whose own attributes stand in the object's data set."""

from __future__ import annotations

from collections.abc import Sequence

from dose_audit.extract._header import Header
from dose_audit.extract._item_values import OBSERVATION, REFERENCE, TEMPLATE, TEXTS, rare_attribute
from dose_audit.extract.codes import key
from dose_audit.extract.content import Item


def read_root(header: Header, children: Sequence[Item]) -> Item:
    """The root content item, whose own attributes stand in the object's data set."""
    item = Item("1")
    item.value_type = header.text("ValueType") or ""
    item.relationship = header.text("RelationshipType")  # only a broken root has one
    item.concept = header.code("ConceptNameCodeSequence")
    item.key = key(item.concept) if item.concept else None
    item.code = header.code("ConceptCodeSequence")
    item.text = next((text for name in TEXTS.values() if (text := header.text(name))), None)
    for name, keyword in OBSERVATION.values():
        if text := header.text(keyword):
            item.set_rare(name, text)
    for number, name in ((TEMPLATE, "ContentTemplateSequence"), (REFERENCE, "ReferencedSOPSequence")):
        for first in header.items(name)[:1]:
            item.set_rare(*rare_attribute(number, first))
    item.children = children
    return item
