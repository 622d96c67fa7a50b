"""What a resolver is told: graphql-core's info, whose path is found when it is asked for."""

from typing import Any, Final

from graphql import GraphQLResolveInfo
from graphql.pyutils import Path

from engine.places import Column, Place, field_path

_PATH: Final = GraphQLResolveInfo._fields.index("path")


class ResolveInfo(GraphQLResolveInfo[Any]):
    """The info of a resolver; where graphql-core keeps the path stands the place that it is found from."""

    # Strawberry offers what a client sent as extensions of the request; nothing of it comes here.
    operation_extensions: Any = None

    @property
    def place(self) -> Place:
        """Return where the field's value will stand."""
        found: Place = tuple.__getitem__(self, _PATH)
        return found

    @property
    def column(self) -> Column:
        """Return the column of the field."""
        frame, _ = self.place
        while not isinstance(frame, Column):
            frame = frame.outer
        return frame


def _path(info: ResolveInfo) -> Path:
    return field_path(info.place)


# A property cannot be declared where the base declares an attribute.
ResolveInfo.path = property(_path)  # type: ignore[assignment]
