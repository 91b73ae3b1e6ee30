"""One look for every chart: colours that survive colour blindness and print, type, grid."""

from __future__ import annotations

from typing import Any

__all__ = ["GRID", "GROUND", "HEAT", "INK", "QUIET", "RULE", "SERVICE", "SITES", "TONES", "chart_config"]

INK = "#1d2b36"
QUIET = "#5b6b78"
GRID = "#dde3e8"
RULE = "#b3261e"
GROUND = "#ffffff"
"""What the page is behind a chart: drawn behind words that lie on lines."""

# Okabe and Ito's palette for tones and sites: told apart with any common colour blindness, and by shape besides.
TONES = {"act": "#c4410c", "check": "#b07d00", "ok": "#00729c", "quiet": "#7d8b96"}
SERVICE = "#5a4fa0"
"""What was done to a device: service, recalibration, a part exchanged."""
HEAT = ["#e6eff7", "#08519c"]
"""From nothing to most in a heat map; the page's script has its other ends for a dark ground."""
SITES = ["#0072b2", "#d55e00", "#009e73", "#8c5aa8", "#b07d00", "#56789a", "#a3475d", "#4d7a3a"]


def chart_config() -> dict[str, Any]:
    """Vega-Lite configuration shared by all charts."""
    font = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "axis": {
            "labelColor": QUIET,
            "titleColor": INK,
            "titleFontWeight": 500,
            "titleFontSize": 12,
            "labelFontSize": 11,
            "gridColor": GRID,
            "domainColor": GRID,
            "tickColor": GRID,
            "labelLimit": 260,
        },
        "legend": {
            "labelColor": INK,
            "titleColor": QUIET,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "labelLimit": 330,
            "orient": "top",
            "titleOrient": "left",
        },
        "header": {"labelColor": INK, "labelFontSize": 12, "labelFontWeight": 600, "title": None},
        "range": {"category": SITES},
    }
