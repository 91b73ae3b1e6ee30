"""Four states of a measurement: in or out of tolerance × in or out of statistical control, each with what to do.

Where there is no tolerance, or there are no limits yet, a state says so instead of guessing.
"""

from __future__ import annotations

__all__ = ["ACT", "RULES", "SENTENCES", "STATE_NAMES", "STATE_WORDS", "state_name"]

RULES = {
    "beyond_limits": "it lies beyond its control limits",
    "run_of_nine": "nine or more in a row lie on one side of its usual value",
    "ewma": "its running average has left its limits: a small, lasting shift",
}
"""What a rule of the control chart says, in a clause."""

STATE_NAMES = {
    ("in", "in"): "steady",
    ("in", "out"): "drifting",
    ("out", "in"): "steadily_out",
    ("out", "out"): "failed",
    ("in", "not_known"): "within",
    ("out", "not_known"): "beyond",
    ("not_judged", "in"): "steady_unjudged",
    ("not_judged", "out"): "changed",
    ("not_judged", "not_known"): "recorded",
}

STATE_WORDS = {
    "failed": "out of tolerance, changed",
    "beyond": "out of tolerance",
    "steadily_out": "out of tolerance, unchanged",
    "drifting": "in tolerance, changed",
    "changed": "changed, no tolerance",
    "steady": "in tolerance, unchanged",
    "within": "in tolerance, no limits yet",
    "steady_unjudged": "unchanged, no tolerance",
    "recorded": "recorded",
    "accepted": "the baseline rests on it",
    "not_measured": "in doubt",
}
"""Each state in a few words; the last two stand for accepted runs and for values in doubt, which have none."""

SENTENCES = {
    "steady": "Within tolerance and as it usually is: nothing to do.",
    "drifting": "Still within tolerance, but it has changed: {rule}. Scan once more; if it stays so, tell medical physics "
    "before it goes out of tolerance.",
    "steadily_out": "Beyond the {level} level, but no different from its usual value: not a new fault. Medical physics "
    "decides whether the device or the baseline needs attention{stop}.",
    "failed": "Beyond the {level} level and changed: {rule}. Check the set-up and scan once more; if it stays so, {act}.",
    "within": "Within tolerance. Whether it is as usual cannot be said yet: {missing}.",
    "beyond": "Beyond the {level} level. Whether it is a change cannot be said yet: {missing}. Check the set-up and scan "
    "once more; if it stays so, {act}.",
    "steady_unjudged": "As it usually is. {unjudged}.",
    "changed": "It has changed: {rule}. {unjudged}: tell medical physics.",
    "recorded": "Recorded. {unjudged}. Whether it is as usual cannot be said yet: {missing}.",
}
"""What each state means to the person at the scanner."""

ACT = {
    "remedial": "tell medical physics today",
    "suspension": "do not use the device until medical physics has looked",
}
"""What to do at each level."""


def state_name(tolerance: str, control: str) -> str:
    """Name of a state.

    Examples
    --------
    >>> state_name("in", "out")
    'drifting'
    """
    return STATE_NAMES[(tolerance, control)]
