"""Beside the field: the same images to dose-audit, pylinac and hazen, and docs/accuracy.md with what each makes of them.

Each program runs in its own process and environment and answers in JSON; `make compare-iq` does all of it.
"""
