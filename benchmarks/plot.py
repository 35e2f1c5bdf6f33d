"""The picture of the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from benchmarks.clients import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

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


def draw(path: Path, speeds: Sequence[Sending], growth: Growth | None) -> None:
    """Draw bars of rows per second for each latency, and the cost per row over the number of rows, into a PNG file."""
    heights = [*(3.3 for _ in speeds), *([2.0] if growth else [])]
    with style.context(LOOK):
        figure = Figure(figsize=(9, sum(heights)), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12))
        axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)
        panels = list(axes[:, 0])
        for panel, speed in zip(panels, speeds, strict=False):
            _bars(panel, speed)
        if growth:
            _line(panels[-1], growth)
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
    panel.set_yticks(range(len(ranked)), [name.replace(" (", "\n(") for name, _ in ranked])
    for label in panel.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == PRODUCT else "normal")
    panel.tick_params(left=False, bottom=False)
    panel.spines["bottom"].set_visible(False)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.0f}"))
    panel.grid(axis="x", color=LINE, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.margins(x=0.09)
    panel.set_title(f"{speed.latency_ms} ms latency: rows per second, {speed.rows:,} rows", pad=22)
    panel.annotate(
        "upper bar: first request to last answer; paler: the whole program, start-up and results included",
        (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", color=QUIET, fontsize=9,
    )  # fmt: skip


def _line(panel: Axes, growth: Growth) -> None:
    rows = [one.rows for one in growth.of_csv]
    cost_ms = [one.cpu_s_per_1000 for one in growth.of_csv]  # seconds per thousand are milliseconds for each
    panel.plot(rows, cost_ms, color=OURS, linewidth=2, marker="o", markersize=6)
    for one, cost in zip(growth.of_csv, cost_ms, strict=True):
        panel.annotate(
            f"{cost:.2f} ms, {one.cost.peak_mb:.0f} MB",
            (one.rows, cost), (0, 9), textcoords="offset points", ha="center", fontsize=9,
        )  # fmt: skip
    panel.set_xscale("log")
    panel.set_xticks(rows, [f"{count:,} rows" for count in rows])
    panel.minorticks_off()
    panel.set_ylim(0, max(cost_ms) * 1.5)
    panel.margins(x=0.12)
    panel.grid(axis="y", color=LINE, linewidth=0.8)
    panel.set_title("batch-updater: CPU milliseconds for each row, and peak memory", pad=8)
