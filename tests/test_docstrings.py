"""Every public function, class and method says what it is, names its arguments, and is shown.

The structure alone is tested, no wording. What is public: `public_api`.
"""

import enum
import inspect
import re
import sys
from typing import NamedTuple

import pytest
from public_api import is_documented, methods, public_names

# Shown where no docstring can run them in a moment; by the tests of docs/ and of the commands.
SHOWN_ELSEWHERE: dict[str, str] = {}

PUBLIC = {name: value for name, value in public_names().items() if is_documented(value)}


class Documented(NamedTuple):
    """A public callable, and the texts that may speak of it."""

    name: str
    value: object
    owner: type | None

    @property
    def own(self) -> str:
        return inspect.getdoc(self.value) or ""

    @property
    def module(self) -> object:
        return sys.modules[(self.owner or self.value).__module__]


def everything(public=None) -> list[Documented]:
    found = []
    for name, value in (PUBLIC if public is None else public).items():
        found.append(Documented(name, value, None))
        if inspect.isclass(value):
            found += [Documented(f"{name}.{m}", f, value) for m, f in methods(value).items()]
    return found


def prose(text: str) -> str:
    """A docstring without its examples."""
    return "\n".join(
        line for line in text.splitlines() if not line.strip().startswith((">>>", "..."))
    )


def examples(text: str | None) -> str:
    """The code of a docstring's examples."""
    return "\n".join(
        line.strip()[4:] for line in (text or "").splitlines() if line.strip()[:3] in (">>>", "...")
    )


def parameters(item: Documented) -> list[str]:
    """Names of the arguments; none of protocols, errors and enumerations, which take no own."""
    value = item.value
    if inspect.isclass(value):
        taken = "__init__" in vars(value) or "__new__" in vars(value)
        if not taken or issubclass(value, enum.Enum | BaseException):
            return []
        if getattr(value, "_is_protocol", False):
            return []
    return [
        p.name
        for p in inspect.signature(value).parameters.values()
        if p.name not in ("self", "cls") and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def unmentioned(item: Documented) -> list[str]:
    """Arguments that neither the docstring nor, in backticks, its class's or module's names."""

    def named(name: str) -> bool:
        if re.search(rf"(?<!\w){name}(?!\w)", prose(item.own)):
            return True
        shared = (inspect.getdoc(item.owner) if item.owner else "", item.module.__doc__)
        return any(re.search(rf"`{name}\b[^`]*`", text or "") for text in shared)

    return [name for name in parameters(item) if not named(name)]


def fields(value: object) -> list[str]:
    return list(getattr(value, "_fields", getattr(value, "__dataclass_fields__", ())))


def package(item: Documented) -> str:
    return item.module.__name__.rsplit(".", 1)[0]


def is_shown(item: Documented) -> bool:
    """Whether an example of its own, of its class or of its module uses it.

    A method may be used, and of a record that is only returned a field, anywhere in the package.
    """
    if examples(item.own):
        return True
    last = item.name.rsplit(".", 1)[-1]
    others = [other for other in EVERYTHING if package(other) == package(item)]
    if item.owner or fields(item.value):
        names = [last] if item.owner else fields(item.value)
        code = "\n".join(examples(text) for o in others for text in (o.own, o.module.__doc__))
        if any(re.search(rf"\.{name}\b", code) for name in names):
            return True
    texts = [item.module.__doc__, *(o.own for o in others if o.module is item.module)]
    return any(re.search(rf"(?<!\w){last}\b", examples(text)) for text in texts)


def summary(text: str) -> str:
    return text.split("\n\n", 1)[0]


EVERYTHING = everything()
IDS = [item.name.removeprefix("aesparse.") for item in EVERYTHING]


@pytest.mark.parametrize("item", EVERYTHING, ids=IDS)
def test_the_docstring_has_a_summary_every_argument_and_an_example(item):
    assert summary(item.own).rstrip().endswith((".", ":", "?")), "no summary that is a sentence"
    assert not item.own.startswith(f"{item.name.rsplit('.', 1)[-1]}("), "made by dataclass"
    assert unmentioned(item) == []
    assert is_shown(item) or item.name in SHOWN_ELSEWHERE
