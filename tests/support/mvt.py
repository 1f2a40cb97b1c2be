"""Reads Mapbox Vector Tiles, as far as tests look: layers, properties, and the corners of geometries."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXED64, FIXED32 = 1, 5


@dataclass
class Feature:
    properties: dict[str, Any]
    kind: int
    """1 point, 2 line, 3 polygon."""
    corners: list[tuple[int, int]]


def read_tile(data: bytes) -> dict[str, list[Feature]]:
    """Features by layer."""
    layers = (dict_of(value) for number, value in fields(data) if number == 3)
    return {layer[1][0].decode(): [feature(raw, layer) for raw in layer.get(2, [])] for layer in layers}


def feature(data: bytes, layer: dict[int, list[Any]]) -> Feature:
    raw = dict_of(data)
    tags = varints(raw.get(2, [b""])[0])
    keys = [key.decode() for key in layer.get(3, [])]
    values = [value_of(value) for value in layer.get(4, [])]
    named = {keys[key]: values[value] for key, value in zip(tags[::2], tags[1::2], strict=True)}
    return Feature(named, raw[3][0], corners(varints(raw[4][0])))


def value_of(data: bytes) -> Any:
    ((number, value),) = fields(data)
    match number:
        case 1:
            return value.decode()
        case 2:
            return struct.unpack("<f", value)[0]
        case 3:
            return struct.unpack("<d", value)[0]
        case 6:
            return unzigzag(value)
        case 7:
            return bool(value)
        case _:
            return value


def corners(commands: list[int]) -> list[tuple[int, int]]:
    found, at, x, y = [], 0, 0, 0
    while at < len(commands):
        command, count = commands[at] & 7, commands[at] >> 3
        at += 1
        for _ in range(count if command in {1, 2} else 0):
            x, y = x + unzigzag(commands[at]), y + unzigzag(commands[at + 1])
            at += 2
            found.append((x, y))
    return found


def unzigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def dict_of(data: bytes) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def varints(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Of a protobuf message: the number of each field, and its value or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        match key & 7:
            case 0:
                value, at = varint(data, at)
                yield key >> 3, value
            case 2:
                size, at = varint(data, at)
                yield key >> 3, data[at : at + size]
                at += size
            case wire:
                size = {FIXED64: 8, FIXED32: 4}[wire]
                yield key >> 3, data[at : at + size]
                at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
