"""Which of our media types a client prefers, by its Accept header."""

from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

_LONGEST_ACCEPT: Final = 1_000


class MediaType(Enum):
    """What the GraphQL endpoint can answer with; the value is the type without parameters."""

    GRAPHQL_RESPONSE = "application/graphql-response+json"
    JSON = "application/json"
    HTML = "text/html"


class _Range(NamedTuple):
    kind: str
    subtype: str
    quality: float

    def specificity(self, media_type: MediaType) -> int:
        """Tell how closely the range names the type: 0 not at all, 1 by */*, 2 by its kind, 3 exactly."""
        kind, _, subtype = media_type.value.partition("/")
        if self.kind == self.subtype == "*":
            return 1
        if self.kind != kind:
            return 0
        if self.subtype == "*":
            return 2
        return 3 if self.subtype == subtype else 0


@lru_cache(maxsize=128)
def preferred(accept: bytes, *, html_offered: bool = False) -> MediaType | None:
    """Return the type that the client likes best, or None where it takes none of ours."""
    ranges = _parse(accept[:_LONGEST_ACCEPT].decode("latin-1"))
    offered = [MediaType.GRAPHQL_RESPONSE, MediaType.JSON]
    if html_offered:
        offered.append(MediaType.HTML)
    best, best_rank = None, (0.0, 0, False)
    for media_type in offered:
        quality, specificity = _quality(media_type, ranges)
        # Clients that take anything know plain JSON at least; those that name both want the newer type.
        is_default = media_type is (MediaType.GRAPHQL_RESPONSE if specificity == 3 else MediaType.JSON)  # noqa: PLR2004
        rank = (quality, specificity, is_default)
        if quality > 0 and rank > best_rank:
            best, best_rank = media_type, rank
    return best


def _quality(media_type: MediaType, ranges: list[_Range]) -> tuple[float, int]:
    matching = [(each.specificity(media_type), each.quality) for each in ranges]
    specificity, quality = max(matching, default=(0, 0.0))
    return (quality, specificity) if specificity else (0.0, 0)


def _parse(accept: str) -> list[_Range]:
    ranges = []
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        kind, slash, subtype = media_range.partition("/")
        if slash:
            ranges.append(_Range(kind, subtype, _quality_value(parameters)))
    return ranges


def _quality_value(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
