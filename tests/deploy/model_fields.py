"""The model's Structs as data: every field with its type, by its path, as in crds.py."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.inspect import (
    AnyType,
    BoolType,
    DictType,
    EnumType,
    IntType,
    ListType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

_SCALARS: tuple[tuple[type[Type], str], ...] = (
    (StrType, "string"),
    (EnumType, "string"),
    (IntType, "integer"),
    (BoolType, "boolean"),
    (StructType, "object"),
    (AnyType, "any"),
)


def model_fields(kind: type[Struct], path: str) -> dict[str, str]:
    """Path -> type, of everything below a field `path` that holds a `kind`."""
    return dict(_inside(path, type_info(kind)))


def _type(kind: Type) -> str:
    kind = _present(kind)
    if isinstance(kind, VarTupleType | ListType):
        return f"list of {_type(kind.item_type)}"
    if isinstance(kind, DictType):
        return f"map of {_type(kind.value_type)}"
    return next(name for cls, name in _SCALARS if isinstance(kind, cls))


def _inside(path: str, kind: Type) -> Iterator[tuple[str, str]]:
    kind = _present(kind)
    if isinstance(kind, VarTupleType | ListType):
        yield from _inside(f"{path}[]", kind.item_type)
    elif isinstance(kind, DictType):
        yield from _inside(f"{path}{{}}", kind.value_type)
    elif isinstance(kind, StructType):
        for field in kind.fields:
            where = f"{path}.{field.encode_name}"
            yield where, _type(field.type)
            yield from _inside(where, field.type)


def _present(kind: Type) -> Type:
    """Without "or absent", which every field of an object may be."""
    if not isinstance(kind, UnionType):
        return kind
    (present,) = (member for member in kind.types if not isinstance(member, NoneType))
    return present
