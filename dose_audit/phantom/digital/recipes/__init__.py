"""Recipes: one file a phantom, geometry in mm as plain tables; `recipe` finds one by its name."""

from __future__ import annotations

from importlib import import_module

from dose_audit.phantom.digital.phantom import DigitalPhantom

__all__ = ["KINDS", "recipe"]

# Name on the command line: module and function. A new phantom is a new file and a row here.
KINDS: dict[str, tuple[str, str]] = {
    "catphan500": ("catphan500", "build"),
    "catphan503": ("catphan503", "build"),
    "catphan504": ("catphan504", "build"),
    "catphan600": ("catphan600", "build"),
    "catphan604": ("catphan604", "build"),
    "catphan700": ("catphan700", "build"),
    "acr-mri-large": ("acr_mri", "build_large"),
    "acr-mri-medium": ("acr_mri", "build_medium"),
    "acr-mri-small": ("acr_mri", "build_small"),
    "acr464": ("acr464", "build"),
    "water": ("water", "build_water"),
    "wire": ("water", "build_wire"),
    "magnet-snr": ("magnet", "build_snr"),
    "magnet-geometry": ("magnet", "build_geometry"),
    "magnet-slice-width": ("magnet", "build_slice_width"),
    "magnet-ghosting": ("magnet", "build_ghosting"),
    "magnet-resolution": ("magnet", "build_resolution"),
    "sphere": ("magnet", "build_sphere"),
    "bottle": ("magnet", "build_bottle"),
    "flat-dx": ("projection", "build_flat_dx"),
    "flat-cr": ("projection", "build_flat_cr"),
    "edge-dx": ("projection", "build_edge_dx"),
    "bars": ("projection", "build_bars"),
    "scale-plate": ("plates", "build_scale"),
    "constancy-plate": ("plates", "build_constancy"),
    "leeds-tor18": ("leeds", "build"),
    "leeds-tor-cdr": ("leeds", "build_cdr"),
    "leeds-tor18-xa": ("leeds", "build_xa"),
    "pmma": ("mammography", "build_pmma"),
    "pmma-al": ("mammography", "build_pmma_aluminium"),
    "acr-dm": ("mammography", "build_acr_dm"),
    "cdmam": ("mammography", "build_gold"),
    "nm-flood": ("nuclear", "build_flood"),
    "nm-flood-bump": ("nuclear", "build_flood_bump"),
    "four-bar": ("nuclear", "build_four_bar"),
    "quadrant-bars": ("nuclear", "build_quadrant_bars"),
    "pet-cylinder": ("nuclear", "build_pet"),
}


def recipe(kind: str) -> DigitalPhantom:
    """The digital phantom of that name, as it is usually imaged.

    Raises
    ------
    KeyError
        For a name that is not in `KINDS`.

    Examples
    --------
    >>> recipe("catphan504").modules["ctp528"]
    30.0
    """
    if kind not in KINDS:
        raise KeyError(f"no digital phantom {kind!r}; there are {', '.join(sorted(KINDS))}")
    module, function = KINDS[kind]
    phantom: DigitalPhantom = getattr(import_module(f"{__name__}.{module}"), function)()
    return phantom
