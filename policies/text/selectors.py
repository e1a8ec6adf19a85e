"""Selectors as policies write them: ``payments_total{result="error"}``, PromQL's own syntax, strictly."""

import re
from functools import lru_cache
from typing import Literal, cast

from rollbackd.policies.model.signals import Matcher, Selector
from rollbackd.policies.text.regexes import foreign_to_re2

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_SPACE = re.compile(r"\s*")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
# What RE2 knows and Python does not (or warns about): left to the source to judge.
_ONLY_RE2 = re.compile(r"\\[pPzCQ]|\(\?(?![:P])|\[\^?\[|--|&&|~~|\|\|")


class SelectorError(ValueError):
    """What was expected at character ``offset`` (from 0) and what stood there."""

    def __init__(self, offset: int, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found} at character {offset + 1}")
        self.offset = offset
        self.expected = expected
        self.found = found


@lru_cache(maxsize=4096)
def parse_selector(text: str) -> Selector:
    """The selector that ``text`` spells. Raises SelectorError. No range, no function, no bare ``{...}``: a metric is always named."""
    reader = _Reader(text)
    metric = reader.take(_METRIC, "a metric name")
    matchers = _matchers(reader) if reader.skip("{") else ()
    if reader.at < len(text):
        raise reader.error("the end of the selector")
    return Selector(metric, matchers)


def _matchers(reader: "_Reader") -> tuple[Matcher, ...]:
    matchers: list[Matcher] = []
    while not reader.skip("}"):
        label_at = reader.at
        label = reader.take(_LABEL, "a label name")
        if label == "__name__":
            raise SelectorError(label_at, "the metric before the brace", "'__name__'")
        op = cast("Literal['=', '!=', '=~', '!~']", reader.take(_OPERATOR, "one of = != =~ !~"))
        value_at = reader.at
        value = _unescaped(reader.take(_STRING, "a quoted value"), value_at)
        if op in ("=~", "!~"):
            _check_regex(value, value_at)
        matchers.append(Matcher(label, op, value))
        if not reader.skip(",") and not reader.sees("}"):
            raise reader.error("',' or '}'")
    if not matchers:
        raise SelectorError(reader.at - 1, "a matcher between the braces", "'}'")
    return tuple(matchers)


def _unescaped(text: str, at: int) -> str:
    body, parts, index = text[1:-1], [], 0
    while index < len(body):
        if body[index] != "\\":
            parts.append(body[index])
        else:
            index += 1
            if body[index] not in _ESCAPES:
                raise SelectorError(at + index, 'one of the escapes \\\\ \\" \\n \\t \\r', f"'\\{body[index]}'")
            parts.append(_ESCAPES[body[index]])
        index += 1
    return "".join(parts)


def _check_regex(pattern: str, at: int) -> None:
    if (foreign := foreign_to_re2(pattern)) is not None:
        raise SelectorError(at, "a regular expression in RE2 syntax", foreign)
    if _ONLY_RE2.search(pattern):
        return
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SelectorError(at, "a regular expression", f"{pattern[:60]!r} ({error})") from error


class _Reader:
    """A cursor over the text; blanks are skipped before every token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._blank()

    def _blank(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def sees(self, char: str) -> bool:
        return self.text.startswith(char, self.at)

    def skip(self, char: str) -> bool:
        if not self.sees(char):
            return False
        self.at += 1
        self._blank()
        return True

    def take(self, token: re.Pattern[str], expected: str) -> str:
        match = token.match(self.text, self.at)
        if match is None:
            raise self.error(expected)
        self.at = match.end()
        self._blank()
        return match[0]

    def error(self, expected: str) -> SelectorError:
        found = repr(self.text[self.at]) if self.at < len(self.text) else "the end of the text"
        return SelectorError(self.at, expected, found)
