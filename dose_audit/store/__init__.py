"""The store: few, wide, typed tables for what was received, what it says, and what people were told about it.

Import ``setup`` or ``prepare`` from `dose_audit.store.settings` first; the models need a configured Django.
"""
