"""What holds for every figure: no text lies on another one or beyond the edge, none is small, nothing warns."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.figures import style


def texts(figure: Figure) -> Iterator[Text]:
    """Yield every text that is drawn; ticks outside of an axis, or of one that is off, exist but are not."""
    not_drawn: set[Text] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            not_drawn |= {tick.label1 for tick in ticks if not axes.axison or not low <= tick.get_loc() <= high}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in not_drawn:
            yield text


def words(figure: Figure) -> str:
    """Return all that a figure says, line breaks as spaces."""
    return " ".join(text.get_text() for text in texts(figure)).replace("\n", " ")


def assert_readable(figure: Figure) -> None:
    """Lay a figure out and fail where a text overlaps another one, is cut off, or is too small for a telephone."""
    with style.applied(), warnings.catch_warnings():
        warnings.simplefilter("error")
        FigureCanvasAgg(figure).draw()
    found = list(texts(figure))
    boxes = [(text.get_text(), text.get_window_extent()) for text in found]
    clashes = [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.padded(-1).overlaps(two)]
    assert clashes == []
    edge = figure.bbox.padded(1)
    assert [text for text, box in boxes if not (edge.contains(*box.min) and edge.contains(*box.max))] == []
    assert min(text.get_fontsize() for text in found) >= 8.5
