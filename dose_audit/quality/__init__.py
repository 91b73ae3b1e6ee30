"""Image quality over time and across sites: control states, schedules, figures of merit, and the report's panel.

Above the store, beside the audit of doses: it reads stored phantom measurements and writes nothing.
"""
