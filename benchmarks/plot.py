"""The picture of the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from benchmarks.clients import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.clients import Sent
    from benchmarks.growth import Growth
    from benchmarks.sending import Sending

OURS, OURS_PALE = "#0B6B3A", "#94C3A9"
THEIRS, THEIRS_PALE = "#486581", "#AFBFCE"
INK, QUIET, LINE = "#1F2933", "#616E7C", "#D9E2EC"
LOOK = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": INK,
}
BAR = 0.38
DPI = 130
GROWTH_HEIGHT = 2.4


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure of `run` over the number of its rows."""

    title: str
    figure: Callable[[Sent], float]
    shown_as: str


CURVES = (
    # Seconds per thousand are milliseconds for each.
    Curve("CPU time of a row", lambda one: one.cpu_s_per_1000, "{:.2f} ms"),
    Curve("Peak memory of all processes", lambda one: one.cost.total_mb, "{:.0f} MB"),
    Curve("Last answer to workbook", lambda one: one.ending_s, "{:.1f} s"),
)


def draw(path: Path, speeds: Sequence[Sending], growth: Growth | None) -> None:
    """Draw bars of rows per second under each load, and a curve of each figure over the rows, into a PNG file."""
    bars = [1 + 0.45 * len(speed.of_client) for speed in speeds]
    heights = [height for height in (sum(bars), GROWTH_HEIGHT if growth else 0) if height]
    with style.context(LOOK):
        figure = Figure(figsize=(9, sum(heights)), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12))
        parts = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
        if speeds:
            panels = parts[0].subplots(len(bars), 1, height_ratios=bars, squeeze=False)[:, 0]
            for panel, speed in zip(panels, speeds, strict=True):
                _bars(panel, speed)
        if growth:
            for panel, curve in zip(parts[-1].subplots(1, len(CURVES)), CURVES, strict=True):
                _curve(panel, curve, growth.of_csv)
        figure.savefig(path, dpi=DPI, facecolor="white")


def _bars(panel: Axes, speed: Sending) -> None:
    ranked = sorted(speed.of_client.items(), key=lambda client: client[1].sending_rows_per_s)
    for place, (name, one) in enumerate(ranked):
        full, pale = (OURS, OURS_PALE) if name == PRODUCT else (THEIRS, THEIRS_PALE)
        for offset, rate, colour in ((BAR / 2, one.sending_rows_per_s, full), (-BAR / 2, one.whole_rows_per_s, pale)):
            panel.barh(place + offset, rate, BAR * 0.94, color=colour, linewidth=0)
            panel.annotate(
                f"{rate:,.0f}", (rate, place + offset), (4, 0), textcoords="offset points", va="center", fontsize=9
            )
    panel.set_yticks(range(len(ranked)), [name.replace(" (", "\n(").replace(", ", ",\n") for name, _ in ranked])
    for label in panel.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == PRODUCT else "normal")
    panel.tick_params(left=False, bottom=False)
    panel.spines["bottom"].set_visible(False)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.0f}"))
    panel.grid(axis="x", color=LINE, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.margins(x=0.09)
    panel.set_title(f"{speed.load.latency_ms} ms latency: rows per second, {speed.load.rows:,} rows", pad=22)
    panel.annotate(
        "upper bar: first request to last answer; paler: the whole program, start-up and results included",
        (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", color=QUIET, fontsize=9,
    )  # fmt: skip


def _curve(panel: Axes, curve: Curve, runs: Sequence[Sent]) -> None:
    rows, figures = [one.rows for one in runs], [curve.figure(one) for one in runs]
    panel.plot(rows, figures, color=OURS, linewidth=2, marker="o", markersize=6)
    for count, figure in zip(rows, figures, strict=True):
        panel.annotate(
            curve.shown_as.format(figure),
            (count, figure), (0, 9), textcoords="offset points", ha="center", fontsize=9,
        )  # fmt: skip
    panel.set_xscale("log")
    panel.set_xticks(rows, [f"{count:,}" for count in rows], fontsize=9)
    panel.minorticks_off()
    panel.set_ylim(0, max(figures) * 1.4)
    panel.margins(x=0.2)
    panel.grid(axis="y", color=LINE, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.set_xlabel("rows of CSV")
    panel.set_title(curve.title, pad=8, fontsize=10)
