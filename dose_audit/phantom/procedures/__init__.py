"""What can be measured on a phantom: each procedure takes the images, the pose and the numbers of a definition's measure.

A definition names a procedure as ``file.function``; a new one is a new function of this shape::

    def hu_inserts(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]: ...

Metrics themselves live in `dose_audit.image_quality`; a procedure only says where and gathers what it found.
"""
