"""The city in Braille dots: eight to a character, north up, as many metres a dot either way. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.style import Style

    from lbs.demo.city import Spot

DOTS_X: Final = 2
DOTS_Y: Final = 4
BRAILLE: Final = 0x2800
BITS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Which bit of a Braille character is the dot in each row and column of its cell."""
MARGIN: Final = 1.01
"""The city does not touch the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Points of one kind; where kinds meet in a character, the later layer gives it its style."""

    spots: Sequence[Spot]
    style: Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The part of the plane that is shown."""

    west_m: float
    east_m: float
    south_m: float
    north_m: float

    @classmethod
    def about(cls, spots: Iterable[Spot]) -> Frame:
        found = list(spots)
        return cls(
            west_m=min(spot.x_m for spot in found),
            east_m=max(spot.x_m for spot in found),
            south_m=min(spot.y_m for spot in found),
            north_m=max(spot.y_m for spot in found),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CityMap:
    """Fills the space it is given; the city stands in its middle, never stretched."""

    frame: Frame
    layers: Sequence[Layer]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        rows = self.cells(width, height)
        for row in rows:
            for text, style in row:
                yield Segment(text, style)
            yield Segment.line()

    def cells(self, width: int, height: int) -> list[list[tuple[str, Style | None]]]:
        """Rows of characters with their styles."""
        frame = self.frame
        metres_a_dot = MARGIN * max(
            (frame.east_m - frame.west_m) / (width * DOTS_X), (frame.north_m - frame.south_m) / (height * DOTS_Y)
        )
        middle_x_m, middle_y_m = (frame.west_m + frame.east_m) / 2, (frame.south_m + frame.north_m) / 2
        bits = [[0] * width for _ in range(height)]
        styles: list[list[Style | None]] = [[None] * width for _ in range(height)]
        for layer in self.layers:
            for spot in layer.spots:
                dot_x = int((spot.x_m - middle_x_m) / metres_a_dot + width * DOTS_X / 2)
                dot_y = int((middle_y_m - spot.y_m) / metres_a_dot + height * DOTS_Y / 2)
                if 0 <= dot_x < width * DOTS_X and 0 <= dot_y < height * DOTS_Y:
                    row, column = dot_y // DOTS_Y, dot_x // DOTS_X
                    bits[row][column] |= BITS[dot_y % DOTS_Y][dot_x % DOTS_X]
                    styles[row][column] = layer.style
        return [
            [(chr(BRAILLE + cell) if cell else " ", style) for cell, style in zip(row, row_styles, strict=True)]
            for row, row_styles in zip(bits, styles, strict=True)
        ]
