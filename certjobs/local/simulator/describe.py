"""What the service says of itself: clients that are made for any service ask this first."""

from __future__ import annotations

import re
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from certjobs.local.simulator.wire import Refused, Reply, reply

if TYPE_CHECKING:
    from certjobs.local.simulator.state import Table

_DEFINITION = re.compile(r"EntityDefinitions\(LogicalName='(\w+)'\)(/Attributes)?")
_FILTER = re.compile(r"\s*(LogicalName|EntitySetName) eq '(\w+)'\s*")
_NAMESPACE = uuid.UUID("b1a7e5f0-0000-4000-8000-000000000000")
_METADATA = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
  <edmx:DataServices>
    <Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">
      <EntityType Name="{name}">
        <Key><PropertyRef Name="{id}" /></Key>
        <Property Name="{id}" Type="Edm.Guid" Nullable="false" />
        <Property Name="{listed}" Type="Edm.Boolean" />
{texts}
      </EntityType>
      <EntityContainer Name="System">
        <EntitySet Name="{set}" EntityType="Microsoft.Dynamics.CRM.{name}" />
      </EntityContainer>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
"""


def describes(resource: str) -> bool:
    """Tell whether a resource, relative to the service's root, is a description."""
    return resource in ("", "$metadata", "EntityDefinitions") or resource.startswith("EntityDefinitions(")


def description(resource: str, query: str, table: Table, root: str) -> Reply:
    """Return the service document, its metadata or the definition of its table. Raises Refused for any other table.

    ``root`` is the service's address with a slash at its end.
    """
    if resource == "$metadata":
        return Reply(HTTPStatus.OK, [("Content-Type", "application/xml")], _metadata(table).encode())
    context = f"{root}$metadata"
    if not resource:
        sets = [{"name": table.entity_set, "kind": "EntitySet", "url": table.entity_set}]
        return reply(HTTPStatus.OK, {"@odata.context": context, "value": sets})
    if resource == "EntityDefinitions":
        found = [_definition(table)] if _is_asked_for(table, query) else []
        return reply(HTTPStatus.OK, {"@odata.context": f"{context}#EntityDefinitions", "value": found})
    named = _DEFINITION.fullmatch(resource)
    if named is None or named[1] != table.logical_name:
        raise Refused(HTTPStatus.NOT_FOUND, "0x80060888", "Could not find an entity with the specified name.")
    if named[2]:
        return reply(HTTPStatus.OK, {"@odata.context": f"{context}#Attributes", "value": _attributes(table)})
    document = {"@odata.context": f"{context}#EntityDefinitions/$entity", **_definition(table)}
    return reply(HTTPStatus.OK, document)


def _is_asked_for(table: Table, query: str) -> bool:
    """Tell whether the table is among those that a query asks for, which must filter by name or not at all."""
    given = parse_qs(query).get("$filter")
    if given is None:
        return True
    named = _FILTER.fullmatch(given[0])
    if named is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "0x80060888", "Definitions are filtered by their name only.")
    return named[2] == (table.logical_name if named[1] == "LogicalName" else table.entity_set)


def _definition(table: Table) -> dict[str, Any]:
    return {
        "MetadataId": str(uuid.uuid5(_NAMESPACE, table.logical_name)),
        "LogicalName": table.logical_name,
        "SchemaName": table.logical_name,
        "EntitySetName": table.entity_set,
        "LogicalCollectionName": table.entity_set,
        "PrimaryIdAttribute": table.id_column,
        "PrimaryNameAttribute": table.key_column,
    }


def _attributes(table: Table) -> list[dict[str, str]]:
    kinds = {table.id_column: "Uniqueidentifier", table.listed_column: "Boolean"}
    return [{"LogicalName": name, "AttributeType": kinds.get(name, "String")} for name in sorted(table.declared)]


def _metadata(table: Table) -> str:
    texts = (table.key_column, *table.columns)
    return _METADATA.format(
        name=table.logical_name,
        id=table.id_column,
        listed=table.listed_column,
        set=table.entity_set,
        texts="\n".join(f'        <Property Name="{each}" Type="Edm.String" />' for each in texts),
    )
