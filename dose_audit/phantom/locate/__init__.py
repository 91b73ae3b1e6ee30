"""How a phantom is found: one module a way of finding, each with `match` (is it this one?) and `locate` (where is it?).

A definition names its way as ``locator``; a new one is a new module here of the same shape::

    def match(bench: Workbench, definition: Definition) -> Match: ...
    def locate(bench: Workbench, definition: Definition) -> Pose: ...

What several definitions of a family need (outlines of every slice, say) is kept in ``bench.cache``.
"""
