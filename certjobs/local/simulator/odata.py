"""The Web API on the table: what one request, or one part of a batch, does to the rows."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl, quote, unquote, urlencode

from certjobs.local.simulator.describe import describes, description
from certjobs.local.simulator.wire import Call, Refused, Reply, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certjobs.local.simulator.state import Row, State

PAGE = 5000
FORBIDDEN = frozenset("/<>*%&:\\?+#")
NOT_FOUND_BY_ID = "0x80040217"
NOT_FOUND_BY_KEY = "0x80060891"
VERSION_MISMATCH = "0x80060882"
DUPLICATE = "0x80060892"
BAD_QUERY = "0x80060888"
BAD_PAYLOAD = "0x80048d19"
_TOKENS = 10_000
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_TERM = re.compile(r"\s*(\w+) (eq|ne) (true|false|null|'(?:[^']|'')*')\s*")
_ETAG = re.compile(r'W/"(\d+)"')
_OPTIONS = frozenset({"$select", "$filter", "$top", "$count", "$skiptoken"})


class Target(NamedTuple):
    """What a path leads to: its area, and the row's ``guid`` or ``key``, or the ``name`` of what else it is."""

    area: str
    guid: str | None = None
    key: str | None = None
    name: str = ""


@dataclass
class _Cursor:
    """Where a page begins, and for which query its token is good."""

    query: tuple[tuple[str, str], ...]
    after: int
    left: int | None


class WebApi:
    """The operations on the rows. ``bulk`` tells whether the table has the bulk messages.

    ``root`` is the path of the service, as ``/api/data/v9.2/``.
    """

    def __init__(self, state: State, version: str) -> None:
        self.state = state
        self.root = f"/api/data/{version}/"
        self.bulk = True
        self.organisation = str(uuid.uuid4())
        self.business_unit = str(uuid.uuid4())
        self._cursors: OrderedDict[str, _Cursor] = OrderedDict()

    def target(self, path: str) -> Target:
        """Return what a path, as it was sent, leads to. Raises Refused where it leads nowhere or is malformed."""
        resource = self._resource(path)
        table = self.state.table
        if resource in ("WhoAmI", "WhoAmI()"):
            return Target("whoami")
        if describes(resource):
            return Target("about", name=resource)
        if resource == table.entity_set:
            return Target("list")
        if resource.startswith(f"{table.entity_set}("):
            return self._row_target(resource.removeprefix(table.entity_set))
        name = resource.removeprefix(f"{table.entity_set}/Microsoft.Dynamics.CRM.")
        if name in ("UpdateMultiple", "UpsertMultiple"):
            return Target("bulk", name=name)
        segment = re.split(r"[/(]", resource)[0]
        raise Refused(HTTPStatus.NOT_FOUND, "0x8006088a", f"Resource not found for the segment '{segment}'.")

    def do(self, call: Call, target: Target, user_id: str, origin: str) -> Reply:
        """Carry out a request. Raises Refused, and then nothing was done."""
        _check_versions(call.headers)
        if target.area == "whoami":
            _allow(call, "GET")
            return self._whoami(user_id, origin)
        if target.area == "about":
            _allow(call, "GET")
            return description(target.name, call.query, self.state.table, f"{origin}{self.root}")
        if target.area == "list":
            _allow(call, "GET", "POST")
            return self._list(call, origin) if call.method == "GET" else self._create(call, origin)
        if target.area == "bulk":
            _allow(call, "POST")
            return self._bulk(call, target.name)
        _allow(call, "GET", "PATCH", "DELETE")
        actions = {"GET": self._read, "PATCH": self._patch, "DELETE": self._delete}
        with self.state.lock:
            return actions[call.method](call, target, origin)

    def key_of(self, target: Target) -> str | None:
        """Return the mentor's key of the row that a path leads to, if it has one."""
        if target.guid is None:
            return target.key
        row = self.state.by_id(target.guid)
        return row.values[self.state.table.key_column] if row else None

    def _resource(self, path: str) -> str:
        if not path.startswith(self.root):
            raise Refused(HTTPStatus.NOT_FOUND, "0x8006088a", "Resource not found for the segment.")
        try:
            return unquote(path[len(self.root) :], errors="strict")
        except UnicodeDecodeError:
            _refuse_syntax()

    def _row_target(self, given: str) -> Target:
        table = self.state.table
        inside = given[1:-1] if given.endswith(")") else ""
        if _GUID.fullmatch(inside):
            return Target("row", guid=inside.lower())
        name, equals, literal = inside.partition("=")
        if not equals or name != table.key_column:
            _refuse_syntax()
        if not FORBIDDEN.isdisjoint(literal):
            raise Refused(HTTPStatus.BAD_REQUEST, "", "A potentially dangerous value was detected in the path.")
        quoted = _QUOTED.fullmatch(literal)
        if quoted is None:
            _refuse_syntax()
        return Target("row", key=quoted[1].replace("''", "'"))

    def _whoami(self, user_id: str, origin: str) -> Reply:
        document = {
            "@odata.context": f"{origin}{self.root}$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
            "BusinessUnitId": self.business_unit,
            "UserId": user_id,
            "OrganizationId": self.organisation,
        }
        return reply(HTTPStatus.OK, document)

    # Rows

    def _read(self, call: Call, target: Target, origin: str) -> Reply:
        _, select = self._selected(call)
        row = self._found(target)
        if call.headers.get("if-none-match") == row.etag:
            return Reply(HTTPStatus.NOT_MODIFIED, [("ETag", row.etag)])
        return self._representation(HTTPStatus.OK, row, select, origin)

    def _patch(self, call: Call, target: Target, origin: str) -> Reply:
        values = self._values(call, target)
        row = self._row(target)
        if_match, if_none_match = _conditions(call.headers)
        if row is None:
            if if_match is not None:
                raise self._missing(target)
            key = {} if target.key is None else {self.state.table.key_column: target.key}
            return self._written(call, self._put(None, target.guid, {**key, **values}), origin, created=True)
        if if_none_match == "*":
            raise Refused(
                HTTPStatus.PRECONDITION_FAILED, DUPLICATE, "A record with matching key values already exists."
            )
        _check_match(if_match, row)
        return self._written(call, self._put(row, row.guid, values), origin, created=False)

    def _create(self, call: Call, origin: str) -> Reply:
        values = self._values(call, Target("list"))
        guid = values.pop(self.state.table.id_column, None)
        with self.state.lock:
            if guid is not None and self.state.by_id(guid):
                raise _duplicate()
            return self._written(call, self._put(None, guid, values), origin, created=True)

    def _delete(self, call: Call, target: Target, _origin: str) -> Reply:
        row = self._found(target)
        _check_match(_conditions(call.headers)[0], row)
        self.state.delete(row)
        return Reply(HTTPStatus.NO_CONTENT)

    def _put(self, row: Row | None, guid: str | None, values: dict[str, Any]) -> Row:
        values = {name: value for name, value in values.items() if name != self.state.table.id_column}
        try:
            return self.state.create(guid, values) if row is None else self.state.update(row, values)
        except KeyError:
            raise _duplicate() from None

    def _written(self, call: Call, row: Row, origin: str, *, created: bool) -> Reply:
        entity = ("OData-EntityId", f"{origin}{self.root}{self.state.table.entity_set}({row.guid})")
        if call.preferences().get("return") != "representation":
            return Reply(HTTPStatus.NO_CONTENT, [entity])
        _, select = self._selected(call)
        answer = self._representation(HTTPStatus.CREATED if created else HTTPStatus.OK, row, select, origin)
        answer.headers += [entity, ("Preference-Applied", "return=representation")]
        return answer

    def _row(self, target: Target) -> Row | None:
        if target.guid is not None:
            return self.state.by_id(target.guid)
        return self.state.by_key(target.key or "")

    def _found(self, target: Target) -> Row:
        row = self._row(target)
        if row is None:
            raise self._missing(target)
        return row

    def _missing(self, target: Target) -> Refused:
        name = self.state.table.logical_name
        if target.guid is not None:
            words = f"{name} With Id = {target.guid} Does Not Exist"
            return Refused(HTTPStatus.NOT_FOUND, NOT_FOUND_BY_ID, words)
        words = f"A record with the specified key values does not exist in {name} entity"
        return Refused(HTTPStatus.NOT_FOUND, NOT_FOUND_BY_KEY, words)

    def _representation(self, status: int, row: Row, select: tuple[str, ...], origin: str) -> Reply:
        context = f"{origin}{self.root}$metadata#{self.state.table.entity_set}/$entity"
        return reply(status, {"@odata.context": context, **self._shown(row, select)}, ("ETag", row.etag))

    def _shown(self, row: Row, select: tuple[str, ...]) -> dict[str, Any]:
        shown: dict[str, Any] = {"@odata.etag": row.etag}
        shown.update((name, row.values[name]) for name in select)
        shown[self.state.table.id_column] = row.guid
        return shown

    # What a body holds

    def _values(self, call: Call, target: Target) -> dict[str, Any]:
        """Return the columns of a body. Raises Refused for one that is no object of declared columns."""
        values = self._columns(_object(call))
        table = self.state.table
        guid = values.get(table.id_column)
        if target.guid is not None and guid not in (None, target.guid):
            _refuse_payload(f"The id in the body is not that of the path: '{guid}'.")
        if target.key is not None and not {table.key_column, table.id_column}.isdisjoint(values):
            raise Refused(
                HTTPStatus.BAD_REQUEST, "", "A row named by its alternate key cannot have its keys in the body."
            )
        return values

    def _columns(self, document: Mapping[str, Any]) -> dict[str, Any]:
        table = self.state.table
        values = {name: value for name, value in document.items() if not name.startswith("@")}
        for name, value in values.items():
            if name not in table.declared:
                words = f"The property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{table.logical_name}'."
                _refuse_payload(f"{words} Make sure to only use property names that are defined by the type.")
            if name == table.listed_column:
                right = isinstance(value, bool)
            elif name == table.id_column:
                right = isinstance(value, str) and bool(_GUID.fullmatch(value))
            else:
                right = value is None or isinstance(value, str)
            if not right:
                _refuse_payload(f"Cannot convert the value of '{name}' to the expected type.")
        if isinstance(values.get(table.id_column), str):
            values[table.id_column] = values[table.id_column].lower()
        return values

    # Lists

    def _list(self, call: Call, origin: str) -> Reply:
        options, select = self._selected(call)
        preferences = call.preferences()
        if "odata.track-changes" in preferences and "$filter" in options:
            _refuse_query("The query parameter $filter is not supported when tracking changes.")
        wanted = self._filter(options.get("$filter"))
        after, left = self._start(options)
        size, applied = _page_size(preferences)
        rows, more = self.state.page(after, size if left is None else min(size, left), wanted)
        table = self.state.table
        document: dict[str, Any] = {
            "@odata.context": f"{origin}{self.root}$metadata#{table.entity_set}({','.join(select)})",
        }
        if options.get("$count") == "true":
            document["@odata.count"] = min(self.state.count(wanted), PAGE)
        document["value"] = [self._shown(row, select) for row in rows]
        left = None if left is None else left - len(rows)
        if more and left != 0:
            document["@odata.nextLink"] = self._next_link(options, rows[-1].number, left, origin)
        return reply(HTTPStatus.OK, document, *applied)

    def _selected(self, call: Call) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the query's options, each of which is known and stands once, and the columns that it selects."""
        try:
            pairs = parse_qsl(call.query, keep_blank_values=True, strict_parsing=True) if call.query else []
        except ValueError:
            _refuse_syntax()
        options = dict(pairs)
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown or len(options) != len(pairs):
            what = f"{unknown[0]} is not supported" if unknown else "is given twice"
            _refuse_query(f"The query parameter {what}.")
        table = self.state.table
        every = (table.key_column, table.listed_column, *table.columns)
        if "$select" not in options:
            return options, every
        names = tuple(each.strip() for each in options["$select"].split(","))
        for name in names:
            self._known(name)
        return options, tuple(name for name in names if name != table.id_column)

    def _known(self, name: str) -> None:
        if name not in self.state.table.declared:
            kind = f"Microsoft.Dynamics.CRM.{self.state.table.logical_name}"
            _refuse_query(f"Could not find a property named '{name}' on type '{kind}'.")

    def _filter(self, given: str | None) -> Callable[[Row], bool]:
        """Return the rule of a filter: comparisons of columns with values, joined by ``and``."""
        if given is None:
            return lambda _row: True
        terms = []
        for part in re.split(r" and (?=\w+ (?:eq|ne) )", given):
            term = _TERM.fullmatch(part)
            if term is None:
                _refuse_query(f"The filter is malformed, or uses what this simulator has not: '{part}'.")
            name, operator, literal = term.groups()
            self._known(name)
            terms.append((name, operator == "eq", self._literal(name, literal)))
        table = self.state.table

        def wanted(row: Row) -> bool:
            for name, equal, value in terms:
                held = row.guid if name == table.id_column else row.values[name]
                if (held == value) is not equal:
                    return False
            return True

        return wanted

    def _literal(self, name: str, literal: str) -> bool | str | None:
        plain: dict[str, bool | None] = {"true": True, "false": False, "null": None}
        value = plain[literal] if literal in plain else literal[1:-1].replace("''", "'")
        if value is not None and isinstance(value, bool) is not (name == self.state.table.listed_column):
            _refuse_query(f"A binary operator with incompatible types was detected for '{name}'.")
        return value

    def _start(self, options: dict[str, str]) -> tuple[int, int | None]:
        """Return after which row the page begins, and how many rows ``$top`` still allows."""
        token = options.get("$skiptoken")
        if token is None:
            top = options.get("$top")
            if top is not None and (not top.isdecimal() or int(top) == 0):
                _refuse_query("The value of $top is not a positive number.")
            return 0, int(top) if top else None
        with self.state.lock:
            cursor = self._cursors.get(token)
        if cursor is None or cursor.query != _without_token(options):
            _refuse_query("The paging cookie is malformed, or belongs to another query.")
        return cursor.after, cursor.left

    def _next_link(self, options: dict[str, str], after: int, left: int | None, origin: str) -> str:
        token = secrets.token_urlsafe(24)
        query = _without_token(options)
        with self.state.lock:
            self._cursors[token] = _Cursor(query, after, left)
            while len(self._cursors) > _TOKENS:
                self._cursors.popitem(last=False)
        written = urlencode([*query, ("$skiptoken", token)], quote_via=quote, safe="$,'")
        return f"{origin}{self.root}{self.state.table.entity_set}?{written}"

    # Bulk messages

    def _bulk(self, call: Call, name: str) -> Reply:
        """Write many rows, or none where one of them fails."""
        if not self.bulk:
            raise Refused(HTTPStatus.BAD_REQUEST, "", f"{name} is not supported for this table.")
        targets = _object(call).get("Targets")
        if not isinstance(targets, list) or not targets:
            _refuse_payload("The parameter 'Targets' is missing or empty.")
        with self.state.atomic():
            for each in targets:
                self._bulk_one(each, upsert=name == "UpsertMultiple")
        return Reply(HTTPStatus.NO_CONTENT)

    def _bulk_one(self, document: Any, *, upsert: bool) -> None:
        table = self.state.table
        kind = f"Microsoft.Dynamics.CRM.{table.logical_name}"
        if not isinstance(document, dict) or str(document.get("@odata.type")).lstrip("#") != kind:
            _refuse_payload(f"Each target must be an object whose '@odata.type' is '{kind}'.")
        values = self._columns(document)
        named = document.get("@odata.id")
        guid = values.get(table.id_column)
        if isinstance(named, str):
            target = self.target(f"{self.root}{named.rpartition(self.root)[2]}")
        elif guid is not None:
            target = Target("row", guid=guid)
        else:
            _refuse_payload("Each target must have an id.")
        row = self._row(target)
        if row is None and not upsert:
            raise self._missing(target)
        key = {} if target.key is None else {table.key_column: target.key}
        self._put(row, target.guid, {**values, **key})


def _allow(call: Call, *methods: str) -> None:
    if call.method not in methods:
        words = f"The requested resource does not support http method '{call.method}'."
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "", words, [("Allow", ", ".join(methods))])


def _check_versions(headers: Mapping[str, str]) -> None:
    for name in ("odata-version", "odata-maxversion"):
        if headers.get(name, "4.0") != "4.0":
            raise Refused(HTTPStatus.BAD_REQUEST, "", f"The value of the header {name} is not supported.")


def _object(call: Call) -> dict[str, Any]:
    """Return the JSON object of a body."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        words = "The request's body must be application/json."
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "", words)
    try:
        document = json.loads(call.body)
    except ValueError:
        _refuse_payload("The body is not JSON.")
    if not isinstance(document, dict):
        _refuse_payload("The body is not a JSON object.")
    return document


def _conditions(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return If-Match and If-None-Match; the word null, which Microsoft's clients send, stands for none."""
    given = [headers.get(name) for name in ("if-match", "if-none-match")]
    if_match, if_none_match = (None if each in (None, "null") else each for each in given)
    if if_match is not None and if_none_match is not None:
        raise Refused(HTTPStatus.BAD_REQUEST, "", "If-Match and If-None-Match cannot both be given.")
    if if_match not in (None, "*") and not _ETAG.fullmatch(if_match or ""):
        raise Refused(HTTPStatus.BAD_REQUEST, "", "The ETag in If-Match is malformed.")
    return if_match, if_none_match


def _check_match(if_match: str | None, row: Row) -> None:
    if if_match not in (None, "*", row.etag):
        words = "The version of the existing record doesn't match the RowVersion property provided."
        raise Refused(HTTPStatus.PRECONDITION_FAILED, VERSION_MISMATCH, words)


def _page_size(preferences: Mapping[str, str]) -> tuple[int, list[tuple[str, str]]]:
    given = preferences.get("odata.maxpagesize")
    if given is None:
        return PAGE, []
    if not given.isdecimal() or int(given) == 0:
        _refuse_query("The value of odata.maxpagesize is not a positive number.")
    return min(int(given), PAGE), [("Preference-Applied", f"odata.maxpagesize={given}")]


def _without_token(options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in options.items() if name != "$skiptoken")


def _refuse_syntax() -> NoReturn:
    _refuse_query("Bad Request - Error in query syntax.")


def _refuse_query(words: str) -> NoReturn:
    raise Refused(HTTPStatus.BAD_REQUEST, BAD_QUERY, words) from None


def _refuse_payload(words: str) -> NoReturn:
    message = f"Error identified in Payload provided by the user for Entity :'', InnerException : {words}"
    raise Refused(HTTPStatus.BAD_REQUEST, BAD_PAYLOAD, message) from None


def _duplicate() -> Refused:
    words = "A record that has the attribute values of an alternate key already exists."
    return Refused(HTTPStatus.PRECONDITION_FAILED, DUPLICATE, words)
