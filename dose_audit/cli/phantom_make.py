"""`dose-audit phantom make`: a digital phantom as DICOM, with its truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from dose_audit.cli.common import JsonOption, fail, nearest, print_json

if TYPE_CHECKING:
    from dose_audit.phantom.digital.acquisition import Acquisition


def make(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Which phantom; 'list' names them.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write; else ./KIND.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise; the same seed gives the same bytes.")] = 0,
    shift: Annotated[
        tuple[float, float, float], typer.Option(metavar="X Y Z", help="Shift in mm: right, down, along z.")
    ] = (0.0, 0.0, 0.0),
    roll: Annotated[float, typer.Option(help="Degrees, clockwise on screen.")] = 0.0,
    tilt: Annotated[
        tuple[float, float], typer.Option(metavar="X Y", help="Lean of the axis in degrees, towards +x and +y.")
    ] = (0.0, 0.0),
    scale: Annotated[float, typer.Option(min=0.1, max=10.0, help="Size in the image over true size.")] = 1.0,
    end_for_end: Annotated[bool, typer.Option("--end-for-end", help="Turned end for end.")] = False,
    field: Annotated[float | None, typer.Option(min=1.0, help="Field of view in mm (the larger side).")] = None,
    thickness: Annotated[float | None, typer.Option(min=0.05, help="Slice thickness in mm.")] = None,
    spacing: Annotated[
        float | None, typer.Option(min=0.05, help="Distance of slices in mm; independent of their thickness.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Slice profile: rect, gauss or triangular.")] = None,
    psf: Annotated[float | None, typer.Option(min=0.0, help="Gaussian blur, standard deviation in mm.")] = None,
    noise: Annotated[float | None, typer.Option(min=0.0, help="Standard deviation of the noise; 0 for none.")] = None,
    missing: Annotated[
        list[int] | None, typer.Option(metavar="INDEX", help="Leave this slice out (0 is the first); may be repeated.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Instance numbers against the positions.")] = False,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="File names in no order.")] = False,
    table: Annotated[bool, typer.Option("--table", help="CT: the table in view.")] = False,
    bubble: Annotated[float, typer.Option(min=0.0, help="Depth of an air bubble in mm.")] = 0.0,
    cupping: Annotated[float, typer.Option(help="CT: HU at the rim against the middle.")] = 0.0,
    ghost: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="MR: share of the signal in the ghost.")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Projections: the other polarity (MONOCHROME1).")] = False,
    enhanced: Annotated[bool, typer.Option("--enhanced", help="MR: one multi-frame object.")] = False,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Series of the same scene with fresh noise.")] = 1,
    station: Annotated[str, typer.Option(help="Station Name.")] = "DIGITAL",
    as_json: JsonOption = False,
) -> None:
    """Make a digital phantom: DICOM files, and truth.json with what was rendered where.

    Example: dose-audit phantom make catphan504 --out phantom --roll 3 --noise 10
    """
    from dose_audit.phantom.digital.pose import Pose
    from dose_audit.phantom.digital.recipes import KINDS, recipe
    from dose_audit.phantom.digital.writing import write_series

    if kind == "list":
        if as_json:
            print_json(sorted(KINDS))
        else:
            print("\n".join(sorted(KINDS)))
        return
    if kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise typer.BadParameter(f"there is no digital phantom {kind!r}; there are {known}.{nearest(kind, KINDS)}")
    digital = recipe(kind)
    try:
        acquisition = _changed(digital.acquisition, field, thickness, spacing, profile, psf, noise, missing, reverse)
        acquisition = _disturbed(acquisition, table, bubble, cupping, ghost, invert, enhanced)
    except ValueError as error:
        fail(str(error))
    pose = Pose(*shift, roll, *tilt, scale, end_for_end)
    if acquisition.z_mm:
        acquisition = acquisition.following(pose.z_mm, end_for_end)
    truth = write_series(
        out or Path(kind),
        digital,
        acquisition=acquisition,
        pose=pose,
        seed=seed,
        repeats=repeats,
        station=station,
        shuffle=shuffle,
    )
    if as_json:
        print_json(truth.record)
        return
    print(f"{len(truth.files)} files of {acquisition.modality} in {truth.folder}, seed {seed}")
    print(f"Truth in {truth.folder / 'truth.json'}: {len(truth.record['features'])} features")


def _changed(
    acquisition: Acquisition,
    field: float | None,
    thickness: float | None,
    spacing: float | None,
    profile: str | None,
    psf: float | None,
    noise: float | None,
    missing: list[int] | None,
    reverse: bool,
) -> Acquisition:
    """The recipe's acquisition with another field, other slices, blur and noise."""
    from dataclasses import replace

    from dose_audit.phantom.digital.acquisition import slice_positions

    if field is not None:
        acquisition = acquisition.with_field(field)
    z = acquisition.z_mm
    if z:
        step = spacing or (abs(z[1] - z[0]) if len(z) > 1 else acquisition.thickness_mm)
        if (max(z) - min(z)) / step > 5000:
            raise ValueError(f"a spacing of {step} mm would make more than 5000 slices")
        z = slice_positions(min(z), max(z), step, missing=tuple(missing or ()), reverse=reverse)
    elif spacing or missing or reverse:
        raise ValueError("this phantom is a projection: it has no slices to space, leave out or reverse")
    model = acquisition.noise
    if noise is not None:
        model = replace(model, sd=noise, kind="none" if noise == 0 else "white" if model.kind == "none" else model.kind)
    return replace(
        acquisition,
        z_mm=z,
        noise=model,
        thickness_mm=thickness or acquisition.thickness_mm,
        profile=_known_profile(profile) if profile else acquisition.profile,
        psf_sigma_mm=acquisition.psf_sigma_mm if psf is None else psf,
    )


def _known_profile(name: str) -> Literal["rect", "gauss", "triangular"]:
    for known in get_args(Literal["rect", "gauss", "triangular"]):
        if name == known:
            return known
    raise ValueError(f"a slice profile is rect, gauss or triangular, not {name!r}")


def _disturbed(
    acquisition: Acquisition,
    table: bool,
    bubble: float,
    cupping: float,
    ghost: float | None,
    invert: bool,
    enhanced: bool,
) -> Acquisition:
    """The acquisition with what the room and the machine add."""
    from dataclasses import replace

    if enhanced and acquisition.modality != "MR":
        raise ValueError(f"enhanced objects are made of MR only, not of {acquisition.modality}")
    if (table or cupping) and acquisition.modality != "CT":
        raise ValueError(f"a table and cupping belong to CT, not to {acquisition.modality}")
    if invert and acquisition.modality not in ("DX", "CR", "MG", "XA"):
        raise ValueError(f"only projections are stored inverted, not {acquisition.modality}")
    effects = replace(
        acquisition.effects,
        table=table,
        bubble_mm=bubble,
        cupping_hu=cupping or acquisition.effects.cupping_hu,
        inverted=invert,
        ghost_fraction=acquisition.effects.ghost_fraction if ghost is None else ghost,
    )
    return replace(acquisition, effects=effects, enhanced=enhanced)
