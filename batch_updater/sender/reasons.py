"""Why an API refused a request: the texts of its error answer, each with the field that it names.

There are many forms: problem details (RFC 9457, RFC 7807), the validation errors of frameworks (ASP.NET, Spring,
Django, Rails, Laravel, FastAPI, NestJS), OData, JSON:API, GraphQL, FHIR, Google's and Salesforce's errors, SOAP faults.
They are not told apart. All of them have members whose names say that a text is for people (`message`, `detail`,
`errors`), and others that name the field (`field`, `pointer`, `loc`) or do so by being its name
(`errors: {price: [...]}`). An answer without any of these is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import NamedTuple

from batch_updater.endpoint.exact_json import number_of
from batch_updater.sender.bodies import Body, inner_json
from batch_updater.text.lazy_pattern import lazy_pattern

REASON_CHARACTERS = 1_000
"""The longest text of a whole answer: there may be a reason for each cell."""
_LONGEST_TEXT = 500
"""Characters of one reason, and of a body that is no JSON."""
_LONGEST_QUOTE = 300
_LONGEST_FIELD = 60
_LOOKED_AT = 20_000
_MOST_REASONS = 20
_MOST_MEMBERS = 2_000
"""Members of an answer that are looked at: a list of valid names may be long."""
_DEEPEST_TEXT = 3
"""How deep JSON may be inside texts of JSON."""

_MESSAGE = lazy_pattern(
    "[a-z]*(message|messages|msg|msgs|error|errors|errmsg|errordescription|errordetails?|errorinfo|errortext|errorlist"
    "|fault|faults|faultstring|reason|reasons|violations?|failures?|problems?|issues?"
    "|(reason|fault|failure|problem)(text|details?|description|info))"
)
"""Names of members that hold a text for people, or errors; here and below as `_bare` returns names."""
_TEXT = lazy_pattern(
    "details?|descriptions?|text|title|summary|cause|hints?|diagnostics|explanation|info|invalidparams?|invalidfields"
    "|modelstate|validation|validationresults?|statusdescription|constraints|content|note|advice|suggestions?|remedy"
    "|recommendations?|resolution"
)
"""The same, unless they are the names of fields."""
_OF_FIELDS = lazy_pattern(
    "[a-z]*(errors|messages|reasons|violations|failures|problems|issues)|modelstate|validation|fields"
)
"""Names of members that may hold errors under the names of their fields."""
_FIELD = (
    "field", "fields", "fieldname", "fieldnames", "property", "propertyname", "propertypath", "propertyref",
    "attribute", "attributename", "parameter", "parametername", "param", "column", "columnname", "membernames",
    "member", "invalidfield", "pointer", "source", "path", "loc", "instancepath", "datapath", "jsonpath", "target",
    "expression", "element", "location", "name", "key",
)  # fmt: skip
"""Names of members that say which field is meant, the most certain first."""
_FIELD_OF_ALL = _FIELD[: _FIELD.index("pointer")]
"""Those that say so in the outermost object as well: there `path` is the path of the request."""
_OF_RECORDS = frozenset({"title", "summary", "description", "descriptions", "text"})
"""Names of members that records have as well."""
_LISTS_OF_FIELDS = frozenset({"fields", "fieldnames", "membernames"})
_NO_FIELD = frozenset({"all", "base", "general", "global"})
"""What some call the field of an error that concerns no single one."""
_CODE = ("value", "code", "errorcode", "error", "type", "keyword", "kind", "rule")
"""Names of members that tell something where no text does, the best first."""
_NO_REASON = lazy_pattern(
    "(trace|request|correlation|activity|error|incident|operation|transaction|log|event|span|session|support)?id"
    "|stack|stacktrace|trace|traceback|exception|exceptiontype|debug.*|timestamp|instance|links?|.*url"
    "|.*uri|href|moreinfo|help|rejectedvalue|invalidvalue|attemptedvalue|value|input|ctx|context|meta|metadata|request"
    "|arguments|params|codes?|errorcode|faultcode|subcode|status|statuscode|httpstatus|severity|level|domain|locale|lang"
    "|language|schemapath|version|type|kind|rule|keyword|(available|allowed|possible).*|validvalues|options|choices"
)
"""Names of members in which no reason is looked for."""
_MAY_ENCLOSE = frozenset({"exception", "value", "ctx", "context", "meta", "metadata", "status"})
"""Those of them in which an object may hold reasons all the same."""
_ECHO = lazy_pattern(
    "(current|existing|submitted|received|sent|posted|original|previous|old|new|your)[a-z]*|payload|record|entity"
)
"""Names of members that repeat the request or the record."""
_LANGUAGE = lazy_pattern(
    r"(?i)(ar|bg|cs|da|de|el|en|es|et|fi|fr|he|hr|hu|it|ja|ko|lt|lv|nb|nl|pl|pt|ro|ru|sk|sl|sr|sv|th|tr|uk|vi|zh|eng"
    r"|deu|ger|fra|fre|spa|ita)([-_]\w{2,8})*|[a-z]{2,3}([-_][a-z]{4})?[-_]([a-z]{2}|[0-9]{3})"
)
"""Language tags (RFC 5646) that are no names of fields: not `id`, `to` or `no`, unless with a region."""
_LANGUAGE_OR_WORD = lazy_pattern(rf"{_LANGUAGE.pattern}|[a-z]{{2}}")
_STACK = lazy_pattern(
    r"(?m)^(?:[ \t]+at [^\s(.]*[(.].*|[ \t]*File \".*(?:\n[ \t]+.*)?|Traceback \(most recent.*|[ \t]*-+> .*"
    r"|[ \t]*--- End of .*|[ \t]*\.\.\. [0-9]+ more)\r?$"
)
"""Lines of a stack trace: .NET, Java, Python."""
_PHRASES = frozenset(status.phrase.casefold() for status in HTTPStatus) | {"error", "fault"}
_NOTHING = lazy_pattern(r"[45][0-9]{2}|true|false|")
_LETTERS = lazy_pattern(r"[^\W\d_]{2}")
_NO_WORDS = lazy_pattern(r"[!-~]*\d[!-~]*|[\w.+-]+://\S*|about:blank")
_WORD = lazy_pattern(r"[^./#$\[\]\\]+")
_LIKE_CODE = lazy_pattern(r"[A-Z0-9_.:-]+|[a-z0-9]+([_.:-][a-z0-9]+)+")


class Reason(NamedTuple):
    """One thing that is wrong with a request."""

    field: str
    """The last word of what the answer calls the field, such as `price`; '' if it names none."""
    text: str
    path: str = ""
    """All of what the answer calls the field, or the names and positions under which the reason is."""

    def __str__(self) -> str:
        return f"{self.field}: {self.text}" if self.field else self.text


class Explanation(NamedTuple):
    """What an error answer says."""

    reasons: tuple[Reason, ...] = ()
    quote: str = ""
    """The beginning of the body where it holds no reason; '' where it says no more than its status."""
    is_worded: bool = False
    """Whether any of it is in words, and not only numbers, flags and ids."""

    @property
    def text(self) -> str:
        """All of it for people; '' if the answer says nothing."""
        text, before = "", ""
        for reason in {str(one): one for one in self.reasons}.values():
            more = reason.text if reason.field == before else str(reason)
            text += ("" if not text else " " if text[-1] in ".!?" else "; ") + more
            before = reason.field
        return text or self.quote

    @property
    def line(self) -> str:
        """The text on one line and bounded."""
        return one_line(self.text, REASON_CHARACTERS)


NO_EXPLANATION = Explanation()


def read_error(
    body: Body, message_keys: tuple[str, ...] = (), is_field: Callable[[str], bool] = lambda _name: False
) -> Explanation:
    """Return what the body of an error answer says; `message_keys` are members that hold the message, the best first.

    `is_field`: whether a name is certainly that of a field.
    """
    value = body.value
    if value is None or isinstance(value, str):
        line = one_line(value or "", _LONGEST_TEXT)
        if line:
            return Explanation((Reason("", line),), is_worded=_is_worded(line))
        quote = one_line(body.text, _LONGEST_QUOTE) if value == "" else ""
        return Explanation((), quote, _is_worded(quote))
    reasons = _Collector(message_keys, is_field).reasons_in(value)
    if reasons:
        return Explanation(reasons, is_worded=any(reason.field or _is_worded(reason.text) for reason in reasons))
    looked_at = islice(_leaves(value), _MOST_MEMBERS)
    leaves = [(name, one) for name, one in looked_at if not _NOTHING.fullmatch(one) and one not in _PHRASES]
    is_worded = any(_is_worded(one) for name, one in leaves if name in _CODE or not _NO_REASON.fullmatch(name))
    return Explanation((), one_line(body.text, _LONGEST_QUOTE) if leaves else "", is_worded)


def error_codes(body: Body) -> tuple[str, ...]:
    """Return the short names of errors in an answer, and `locked` where a member says that the record is."""
    return tuple(islice(_codes(body.value), _MOST_REASONS))


class _Within(NamedTuple):
    """Where in an answer a value was found."""

    field: str = ""
    """What it is about, as far as that has been named."""
    path: str = ""
    """The same with the names and positions above it, as a member of an error has it, or the answer itself."""
    is_named: bool = False
    """Whether a member of an error has named the field, and not only a key above it."""
    holds_fields: bool = False
    """Whether the names of its members may be those of fields whatever they are."""
    is_listed: bool = False
    depth: int = 0

    def named(self, field: str) -> _Within:
        """Return the same where a member of an error has named the field."""
        return self._replace(field=field, path=field, is_named=True) if field else self

    def below(self, step: str | int) -> _Within:
        """Return the same below a member, or an element."""
        return self if self.is_named else self._replace(path=f"{self.path}/{step}")


class _Collector:
    """Collects the reasons in one answer."""

    def __init__(self, message_keys: tuple[str, ...], is_field: Callable[[str], bool]) -> None:
        self._message_keys = message_keys
        self._is_field = is_field
        self._found: dict[Reason, None] = {}
        self._left = _MOST_MEMBERS

    def reasons_in(self, answer: object) -> tuple[Reason, ...]:
        """Return the reasons, each once; without those that only say what another one, or the status, says."""
        if not isinstance(answer, dict):
            self._add_all(answer, _Within())
        else:  # the members with telling names, then what is in those that may be envelopes
            answer = _beginning(answer)
            within = _Within().named(_field_of(answer, _FIELD_OF_ALL))
            telling = _texts_first(answer, filter(_tells, answer))
            names = dict.fromkeys((*(key for key in self._message_keys if key in answer), *telling))
            for name in names:
                self._add_all(answer[name], within._replace(holds_fields=_may_hold_fields(name)))
            has_text = any(isinstance(answer[name], str) for name in names)
            for name, member in answer.items():
                if name in names or not _is_texts(member) or _NO_REASON.fullmatch(_bare(name)):
                    continue
                if self._is_field(name) or not has_text:
                    self._add_all(member, _Within(name, name))  # Django: {"price": ["..."]}
            self._add_from_envelopes(answer, _Within())
        # Short names of errors count where there are no texts.
        reasons = [one for one in self._found if one.field or one.text.rstrip(".").casefold() not in _PHRASES]
        reasons = [one for one in reasons if one.field or not _LIKE_CODE.fullmatch(one.text)] or reasons
        whole = [str(reason).casefold() for reason in reasons]
        distinct = []
        for at, reason in enumerate(reasons):
            words = re.compile(rf"(?<!\w){re.escape(whole[at].rstrip('.'))}(?!\w)")
            others = (
                other
                for index, other in enumerate(whole)
                if (index < at and reasons[index].path == reason.path) or (index != at and other != whole[at])
            )
            if not any(map(words.search, others)):
                distinct.append(reason)
        return tuple(distinct)

    def _add_from_envelopes(self, members: Mapping[str, object], within: _Within) -> None:
        """Add what objects in members without telling names say, unless they repeat the request."""
        for name, member in islice(members.items(), max(0, self._left)):
            self._left -= 1
            bare = _bare(name)
            if _tells(name) or (_NO_REASON.fullmatch(bare) and bare not in _MAY_ENCLOSE) or _ECHO.fullmatch(bare):
                continue
            if bare == "fields" and isinstance(member, dict):
                self._add_by_fields(member, within.below(name)._replace(holds_fields=True))
                continue
            inside = within.below(name)
            if self._is_field(name) and not within.is_named:
                inside = inside._replace(field=name)
            for at, one in enumerate(member if isinstance(member, list) else [member]):
                self._left -= 1
                if isinstance(one, dict) and self._left > 0:
                    where = inside.below(at) if isinstance(member, list) else inside
                    self._add_from_envelope(_beginning(one), where, is_listed=isinstance(member, list))
                elif isinstance(one, str) and isinstance(member, list) and inside.field == name:
                    self._add_all(one, inside)

    def _add_from_envelope(self, members: Mapping[str, object], within: _Within, *, is_listed: bool) -> None:
        """Add what an object says of which it is not known whether it is an error or a record."""
        fields = (name for name, one in members.items() if not isinstance(one, (dict, list)) and self._is_field(name))
        certain = (name for name in fields if not _tells(name) and _bare(name) not in {*_FIELD, *_CODE})
        if len(list(islice((name for name in certain if not _NO_REASON.fullmatch(_bare(name))), 2))) == 2:
            return  # it repeats the record, or the request
        field = _field_of(members, _FIELD_OF_ALL)
        # A record may have a title and a description of its own, an object that names a field is an error.
        telling = [name for name in members if _tells(name) and (field or _bare(name) not in _OF_RECORDS)]
        if not field and is_listed and telling:
            field = _field_of(members, _FIELD)
        within = _Within().named(field) if field else within
        for name in _texts_first(members, telling):
            self._add_all(members[name], within._replace(holds_fields=_may_hold_fields(name)))
        self._add_from_envelopes(members, within)

    def _add_all(self, value: object, within: _Within) -> None:
        self._left -= 1
        if self._left < 0 or len(self._found) >= _MOST_REASONS:
            return
        if isinstance(value, str):
            inner = inner_json(value) if within.depth < _DEEPEST_TEXT and value.lstrip()[:1] in ("{", "[") else None
            if isinstance(inner, (dict, list)):
                self._add_all(inner, within._replace(depth=within.depth + 1))
            else:
                self._add(within, value)
        elif isinstance(value, list):
            for at, one in enumerate(value):
                self._add_all(one, within.below(at)._replace(holds_fields=False, is_listed=True))
        if not isinstance(value, dict):
            return
        value = _beginning(value)
        before = len(self._found)
        tag = _LANGUAGE if within.holds_fields else _LANGUAGE_OR_WORD
        if value and all(tag.fullmatch(name) and not self._is_field(name) for name in value):
            # One text in several languages.
            english = next((name for name in value if name.casefold().startswith("en")), next(iter(value)))
            self._add_all(value[english], within)
        elif _is_error(value):
            within = within.named(_field_of(value, _FIELD))
            for name in _texts_first(value, filter(_tells, value)):
                self._add_all(value[name], within._replace(holds_fields=_may_hold_fields(name), is_listed=False))
            self._add_from_envelopes(value, within)
        else:
            self._add_by_fields(value, within)
        if len(self._found) == before:
            members = {_bare(name): member for name, member in value.items()}
            codes = (members.get(name) for name in (_CODE if within.is_listed else _CODE[:1]))
            self._add(within, next((one for one in codes if isinstance(one, str) and one.strip()), ""))

    def _add_by_fields(self, errors: Mapping[str, object], within: _Within) -> None:
        """Add errors that are listed under the names of their fields."""
        for name, member in errors.items():
            bare = _bare(name)
            is_list_of_field = isinstance(member, list) and self._is_field(name)
            if _NO_REASON.fullmatch(bare) and not _is_texts(member) and not is_list_of_field:
                continue
            if isinstance(member, dict) and not within.holds_fields and not _tells(name):
                self._add_from_envelopes({name: member}, within)
                continue
            is_field = not _MESSAGE.fullmatch(bare) and (within.holds_fields or not _TEXT.fullmatch(bare))
            # What an error calls its text by, such as a language, is no field either: {"message": {"english": "..."}}.
            is_field &= within.holds_fields or within.is_listed or not within.field
            # Below a name that is certain: {"price": {"min": "..."}}.
            is_nearer = self._is_field(name) or not self._is_field(within.field)
            field = name if is_field and is_nearer and not within.is_named else within.field
            holds_fields = _may_hold_fields(name) or (is_field and within.holds_fields)
            inside = within.below(name)._replace(field=field, holds_fields=holds_fields, is_listed=False)
            self._add_all(member, inside)

    def _add(self, within: _Within, text: str) -> None:
        line = one_line(_STACK.sub("", text[:_LOOKED_AT]), _LONGEST_TEXT)
        if not line or _NO_WORDS.fullmatch(line):
            return
        # The last name in a path: `price` of `$.price`, `/attributes/price` or `items[0].price`.
        words = [word.strip() for word in _WORD.findall(within.field) if word.strip() and number_of(word) is None]
        name = words[-1] if words and _bare(words[-1]) not in _NO_FIELD else ""
        field = one_line(name, _LONGEST_FIELD)
        self._found.setdefault(Reason(field, line, within.path if field else ""))


def _beginning(members: Mapping[str, object]) -> Mapping[str, object]:
    """Return an object with as many members as are looked at."""
    return members if len(members) <= _MOST_MEMBERS else dict(islice(members.items(), _MOST_MEMBERS))


def _texts_first(members: Mapping[str, object], names: Iterable[str]) -> list[str]:
    """Return names of members in their order, those first that hold a text: what is deeper says it more closely."""
    return sorted(names, key=lambda name: not isinstance(members[name], str))


def _bare(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())


def _tells(name: str) -> bool:
    bare = _bare(name)
    return (_MESSAGE.fullmatch(bare) or _TEXT.fullmatch(bare)) is not None and not _NO_REASON.fullmatch(bare)


def _may_hold_fields(name: str) -> bool:
    return _OF_FIELDS.fullmatch(_bare(name)) is not None


def _is_texts(member: object) -> bool:
    return isinstance(member, list) and bool(member) and all(isinstance(one, str) for one in member)


def _is_error(members: Mapping[str, object]) -> bool:
    """Whether an object is one error, and does not hold errors under the names of their fields."""
    if any(isinstance(member, str) and _MESSAGE.fullmatch(_bare(name)) for name, member in members.items()):
        return True
    return bool(_field_of(members, _FIELD)) and any(_tells(name) or _bare(name) in _CODE for name in members)


def _field_of(error: Mapping[str, object], names: tuple[str, ...]) -> str:
    """Return what an error calls the field that it is about; '' if it names none."""
    members = {_bare(name): member for name, member in error.items()}
    for name in names:
        member = members.get(name)
        if name == "source" and isinstance(member, dict):  # JSON:API
            member = member.get("pointer") or member.get("parameter")
        if isinstance(member, list):
            words = [one for one in member if isinstance(one, str)]
            steps = "/".join(str(one) for one in member if isinstance(one, (str, int))) if words else ""
            member = ", ".join(words) if name in _LISTS_OF_FIELDS else steps
        is_other = name in ("name", "key") and isinstance(member, str) and re.search(r"\s|(Error|Exception)$", member)
        if isinstance(member, str) and member.strip() and not is_other:
            return member
    return ""


def _codes(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _codes(one)
    elif isinstance(value, dict):
        for name, member in value.items():
            bare = _bare(name)
            if isinstance(member, str):
                if bare in _CODE or bare.endswith(("code", "type", "status", "state", "name", "key")):
                    yield member
                elif bare in ("lockedby", "checkedoutby", "lockowner") and member.strip():
                    yield "locked"
            elif bare in ("locked", "islocked") and member is True:
                yield "locked"
            else:
                yield from _codes(member)


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Return every text, number and flag, with the bare name of its member; the beginning of a long one."""
    if isinstance(value, dict):
        for inner, one in value.items():
            yield from _leaves(one, _bare(inner))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, name)
    elif value is not None:
        yield name, str(value)[:_LOOKED_AT].strip().casefold()[:_LONGEST_TEXT]


def _is_worded(text: str) -> bool:
    return _LETTERS.search(text) is not None and not _NO_WORDS.fullmatch(text)


def one_line(text: str, longest: int) -> str:
    """Return a text as a message holds it: printable, on one line, bounded."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_LOOKED_AT]).split())
    return line if len(line) <= longest else f"{line[:longest]} ..."
