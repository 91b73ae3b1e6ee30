"""A chart is the same wherever it is drawn: days are those that were written."""

from __future__ import annotations

import os
import re
import subprocess
import sys

DRAW = """
import altair as alt
from dose_audit.report.charts.figure import finished, inline
from dose_audit.report.static import to_svg

rows = [{"time": "2026-01-01T00:00:00", "until": "2026-01-20T12:00:00", "dose": 1.0}, {"time": "2026-03-01", "dose": 2.0}]
axis = alt.Axis(format="%d %b %Y", tickCount="month")
x = alt.X("time:T", axis=axis, scale=alt.Scale(domain=["2026-01-01T00:00:00", "2026-03-01"]))
base = alt.Chart(inline(rows)).encode(x=x, y="dose:Q", tooltip=[alt.Tooltip("time:T", format="%d %b %Y")])
chart = base.mark_line() + base.mark_rule().encode(x2="until:T")
print(to_svg(finished(chart), "chart"))
"""


def test_days_of_a_chart_do_not_depend_on_the_machines_time_zone() -> None:
    drawings = []
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        done = subprocess.run(
            [sys.executable, "-c", DRAW],
            env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip
        drawings.append(done.stdout)
    assert re.findall(r">(\d\d \w{3} 2026)<", drawings[0]) == ["01 Jan 2026", "01 Feb 2026", "01 Mar 2026"]
    assert drawings[0] == drawings[1] == drawings[2]
