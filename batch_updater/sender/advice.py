"""What a person should do about an answer that does not confirm its row."""

from __future__ import annotations

from batch_updater.endpoint.description import Endpoint
from batch_updater.sender.bodies import WEB_PAGE
from batch_updater.sender.reasons import NO_EXPLANATION, Explanation

_CORRECT = "Correct what the message names, then run this row again."
_SET_UP = "Check api.base_url and api.endpoint in the configuration: {api} takes no such update there."
_CHANGED = "Look at the {record} in {api}: it may have been changed, or clash with another one."
_TOO_LONG = "Shorten the texts in this row."
_ADVICE = {
    400: _CORRECT,
    401: "Check the token in the configuration, then run again.",
    402: "Ask the people who manage the account: {api} wants to be paid.",
    403: "Ask the people who manage the account whether it may update this {record}.",
    404: "Check the cells that say which {record} is meant: there is none like that.",
    405: _SET_UP,
    406: _SET_UP,
    407: "Ask the people who run the network for the name and password that the proxy wants, and set api.proxy.",
    409: _CHANGED,
    410: "Check the cells that say which {record} is meant: it was deleted.",
    412: _CHANGED,
    413: _TOO_LONG,
    414: _TOO_LONG,
    415: _SET_UP,
    422: _CORRECT,
    423: "Run again: the {record} was locked, perhaps by a person who has it open in {api}.",
    428: _CHANGED,
    429: "Run again later, or with a lower sending.rate_per_s.",
    431: _TOO_LONG,
    500: "Run again. If it stays like this, ask the people who run {api}.",
    503: "Run again later: {api} is not available just now.",
}
_SAYS_NOTHING = (
    "{api} does not say what is wrong. Compare this row with the {record} in {api}; if its cells are right, ask the "
    "people who run {api}."
)
_SAYS_A_PAGE = (
    "A web page is no answer of {api}. Check api.base_url, and ask the people who run the network whether a proxy "
    "answers in its place."
)
ACCEPTED_ADVICE = (
    "If {api} answers every update like this, set api.accepted_is_done: true in the configuration; such rows then "
    "count as updated."
)


def advice_on(
    status: int,
    endpoint: Endpoint,
    explanation: Explanation = NO_EXPLANATION,
    *,
    names_cells: bool = False,
    maybe_applied: bool = True,
) -> str:
    """Return what a person should do about an answer of that status.

    `explanation`: what it says; `names_cells`: whether cells are named beside it; `maybe_applied`: whether the row may
    have been applied.
    """
    if 300 <= status < 400:
        text = "Check api.base_url in the configuration: {api} answers from another address."
    elif 400 <= status < 500 and status not in (408, 425):
        text = _ADVICE.get(status, _CORRECT)
        if text is _CORRECT and not names_cells:
            is_page = explanation.text.startswith(WEB_PAGE)
            text = _SAYS_A_PAGE if is_page else text if explanation.is_worded else _SAYS_NOTHING
    else:
        text = _ADVICE.get(status, retry_advice(endpoint, maybe_applied=maybe_applied))
    return text.format(record=endpoint.record_name, api=endpoint.api_name)


def retry_advice(endpoint: Endpoint, *, maybe_applied: bool = True) -> str:
    """Return what to do about a row without a clear answer."""
    if not maybe_applied:
        return "Run again: nothing of the row was applied."
    if endpoint.can_repeat:
        return "Run again: the row is sent once more, which does no harm."
    return f"Look at the {endpoint.record_name} first: running again could apply the row twice."
