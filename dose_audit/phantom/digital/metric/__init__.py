"""Metric phantoms: one call gives an image and its truth, by the formulas of the field and never by measuring it.

Each function returns ``(array, truth)``; the array is float64 ``[row, column]``, the truth plain data. Positions are
0-based rows and columns with whole numbers at pixel centres; angles are clockwise on screen from +x.
"""

from dose_audit.phantom.digital.metric.bars import bar_image
from dose_audit.phantom.digital.metric.edge import edge_image
from dose_audit.phantom.digital.metric.geometry import node_image, outline_image
from dose_audit.phantom.digital.metric.noise import low_contrast_image, mr_repeat_pair, nm_flood, noise_image
from dose_audit.phantom.digital.metric.points import bead_image, disc_image, wire_image
from dose_audit.phantom.digital.metric.slices import ramp_image, ramp_volume, wedge_image
from dose_audit.phantom.digital.metric.uniformity import ct_water_image, flat_field, mr_uniform_image

__all__ = [
    "bar_image",
    "bead_image",
    "ct_water_image",
    "disc_image",
    "edge_image",
    "flat_field",
    "low_contrast_image",
    "mr_repeat_pair",
    "mr_uniform_image",
    "nm_flood",
    "node_image",
    "noise_image",
    "outline_image",
    "ramp_image",
    "ramp_volume",
    "wedge_image",
    "wire_image",
]
