"""As much of the Liquid template language as the worker pages use, with the filters that Ground Truth adds.

https://shopify.github.io/liquid/ , https://docs.aws.amazon.com/sagemaker/latest/dg/sms-custom-templates-step2-automate.html
"""

import html
import json
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

_TOKEN = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})", re.DOTALL)

# `escape` leaves no character that could end an attribute, whichever quotes it has.
_FILTERS: Mapping[str, Callable[[Any], str]] = {
    "to_json": lambda value: json.dumps(value, ensure_ascii=False),
    "escape": lambda value: html.escape(str(value), quote=True),
    "grant_read_access": lambda uri: f"https://signed.example/?{html.escape(uri, quote=True)}",
}


def render(template: str, task_input: Mapping[str, Any]) -> str:
    """The page that people get for one object.

    Raises:
        ValueError: a tag that this does not know.
    """
    text, rest = _render(_TOKEN.split(template), {"task": {"input": task_input}}, until=())
    assert not rest
    return text


def _render(tokens: list[str], scope: dict[str, Any], *, until: tuple[str, ...]) -> tuple[str, list[str]]:
    out = []
    while tokens:
        token, tokens = tokens[0], tokens[1:]
        if token.startswith("{{"):
            out.append(str(_value(token[2:-2], scope)))
        elif token.startswith("{%"):
            word, _, rest = token[2:-2].strip().partition(" ")
            if word in until:
                return "".join(out), tokens
            shown, tokens = _tag(word, rest.strip(), tokens, scope)
            out.append(shown)
        else:
            out.append(token)
    return "".join(out), tokens


def _tag(word: str, rest: str, tokens: list[str], scope: dict[str, Any]) -> tuple[str, list[str]]:
    if word == "assign":
        name, _, expression = rest.partition("=")
        scope[name.strip()] = _value(expression, scope)
        return "", tokens
    if word == "capture":
        scope[rest], tokens = _render(tokens, scope, until=("endcapture",))
        return "", tokens
    if word == "unless":
        shown, after = _render(tokens, scope, until=("endunless",))
        return ("" if _value(rest, scope) else shown), after
    if word == "for":
        name, _, path = rest.partition(" in ")
        items = _value(path, scope) or []
        items = list(items.items()) if isinstance(items, Mapping) else items
        out, after = [], _render(list(tokens), {**scope, name: "", "forloop": {}}, until=("endfor",))[1]
        for number, item in enumerate(items, start=1):
            inner = {**scope, name: item, "forloop": {"last": number == len(items)}}
            out.append(_render(list(tokens), inner, until=("endfor",))[0])
        return "".join(out), after
    raise ValueError(f"unknown tag {word!r}")


def _value(expression: str, scope: Mapping[str, Any]) -> Any:
    path, *filters = (part.strip() for part in expression.split("|"))
    value: Any = scope
    for name, index in re.findall(r"([\w-]+)|\[(\w+)\]", path):
        key = name or (int(index) if index.isdecimal() else scope[index])
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            value = None
    for name in filters:
        value = _FILTERS[name](value)
    return "" if value is None else value


class Page(HTMLParser):
    """The elements of a page with their attributes, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def attributes(self, tag: str) -> dict[str, str | None]:
        """The attributes of the one element with this tag."""
        [found] = [attributes for name, attributes in self.elements if name == tag]
        return found
