"""A first look at a document's text: its tokens and the depth of its brackets, before anything recurses."""

import re
from typing import Final, NamedTuple

from server.errors import refuse_for_limit

# Larger than any honest document: values belong into variables.
MAX_DOCUMENT_CHARACTERS: Final = 256 * 1024
# Deeper than any document within the depth limit needs, and shallow enough to parse and walk by recursion.
MAX_BRACKET_DEPTH: Final = 100

# Every lexical token of GraphQL, comments included. Possessive and without a needed end, so that it never backtracks.
# In a block string a backslash escapes three quotes and nothing else: read otherwise, whole documents could hide there.
_TOKEN: Final = re.compile(
    r'#[^\n\r]*+|"""(?:[^"\\]|\\(?:""")?+|"(?!""))*+(?:""")?|"(?:[^"\\\n\r]|\\.)*+"?'
    r"|[_A-Za-z][_0-9A-Za-z]*+|-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|\.\.\.|[!$&()\[\]{}:=@|]",
    re.DOTALL,
)
_OPENING: Final = frozenset("{[(")
_CLOSING: Final = frozenset("}])")


class Scan(NamedTuple):
    """What the look found."""

    tokens: int
    bracket_depth: int


def scan(text: str, max_tokens: int) -> Scan:
    """Measure the text, stopping at the first bound that it breaks; raise the refusal for it."""
    if len(text) > MAX_DOCUMENT_CHARACTERS:
        raise refuse_for_limit(
            "QUERY_TOO_LONG",
            f"The document has {len(text)} characters; the limit is {MAX_DOCUMENT_CHARACTERS}. "
            "Send values as variables.",
            limit=MAX_DOCUMENT_CHARACTERS,
        )
    tokens = depth = deepest = 0
    for tokens, match in enumerate(_TOKEN.finditer(text), start=1):
        if tokens > max_tokens:
            raise refuse_for_limit(
                "TOO_MANY_TOKENS", f"The document has more than {max_tokens} tokens.", limit=max_tokens
            )
        first = text[match.start()]
        if first in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
            if depth > MAX_BRACKET_DEPTH:
                raise refuse_for_limit(
                    "QUERY_TOO_DEEP",
                    f"The document nests brackets more than {MAX_BRACKET_DEPTH} deep.",
                    limit=MAX_BRACKET_DEPTH,
                )
        elif first in _CLOSING:
            depth -= 1
    return Scan(tokens, deepest)
