"""From images to judged measurements: gather, recognise, locate, measure each thing by itself, judge."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dose_audit.measured import not_measurable
from dose_audit.phantom.alike import elsewhere, located, turned_otherwise
from dose_audit.phantom.defects import told
from dose_audit.phantom.definition import Definition, DefinitionError, Measure, definitions
from dose_audit.phantom.gather import gather, keep_within_memory
from dose_audit.phantom.headers import many
from dose_audit.phantom.judge import judge
from dose_audit.phantom.pose import OverrideError, Overrides, Pose
from dose_audit.phantom.recognise import ACCEPTED, LEAD, Candidate, recognise
from dose_audit.phantom.results import Analysis, PhantomMeasurement
from dose_audit.phantom.series import ImageSeries
from dose_audit.phantom.workbench import Workbench, find_locator, find_procedure

__all__ = ["Outcome", "Refusal", "analyse"]

_LOSSY = "the images were compressed with loss"
# A CT image of a whole phantom holds air.
_NO_AIR_HU = -300.0
# Sides of a pixel that occur, from a dental sensor to a whole-body camera, and how much one may be longer.
_PIXEL_MM, _OBLONG = (0.005, 25.0), 8.0
_LEAST_SIDE = 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """A series that was not analysed, why, and what it looks like.

    `defect` is true where this program failed on it: the images may well show a phantom, and are worth another run.
    """

    series: ImageSeries
    reason: str
    looks_like: str | None = None
    defect: bool = False

    def as_record(self) -> dict[str, Any]:
        return {
            "series_instance_uid": self.series.uid or None,
            "series": self.series.describe(),
            "reason": self.reason,
            "looks_like": self.looks_like,
            "defect": self.defect,
        }


@dataclass
class Outcome:
    """What came of everything that was given: analyses, refused series, objects that are no images."""

    analyses: list[Analysis] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    left_aside: list[tuple[str, str]] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        return {
            "analyses": [one.as_record() for one in self.analyses],
            "refused": [one.as_record() for one in self.refused],
            "left_aside": [{"object": name, "reason": reason} for name, reason in self.left_aside],
        }


def analyse(
    source: Any,
    *,
    definition: str | None = None,
    overrides: Overrides | None = None,
    own_folder: Path | None = None,
    baselines: Callable[[Analysis], Mapping[str, float]] | None = None,
    known: Sequence[Definition] | None = None,
) -> Outcome:
    """Analyse every phantom in what is given.

    Parameters
    ----------
    source : path, bytes, Dataset, or an iterable of them
        A file, a folder, a zip archive, or objects in memory.
    definition : str, optional
        Id of the phantom that it is said to be; one that the images do not show is refused by name.
    overrides : Overrides, optional
        Choices of a person in place of the localisation's.
    own_folder : Path, optional
        A site's own definitions.
    baselines : callable, optional
        Gives accepted values by measurement name, for an analysis that is about to be judged.
    known : sequence of Definition, optional
        Instead of the shipped definitions.

    Returns
    -------
    Outcome

    Raises
    ------
    KeyError
        If there is no definition of that id.
    FileNotFoundError
        If a path does not exist.
    """
    available = tuple(known) if known is not None else definitions(own_folder)
    wanted = None
    if definition is not None:
        names = {name: one for one in available for name in (one.id, *one.aliases)}
        if definition not in names:
            raise KeyError(
                f"no phantom definition {definition!r}; known are {', '.join(sorted(one.id for one in available))}"
            )
        wanted = names[definition]
    gathered = gather(source)
    outcome = Outcome(left_aside=gathered.left_aside)
    chosen: list[tuple[Workbench, Candidate]] = []
    for series in gathered.series:
        bench = Workbench(series)
        result = _chosen(bench, available, wanted, bool(overrides))
        if isinstance(result, Refusal):
            outcome.refused.append(result)
            series.let_go()
        else:
            chosen.append((bench, result))
            keep_within_memory(one.series for one, _ in chosen)
    for bench, candidate in _with_companions(chosen, outcome):
        began = time.perf_counter()
        try:
            analysis = _measured(bench, candidate, overrides)
        except DefinitionError:
            raise
        except OverrideError as error:
            outcome.refused.append(Refusal(bench.series, str(error), candidate.definition.id))
            continue
        except Exception as error:  # noqa: BLE001 - a defect that one series meets must not take the others with it
            name = candidate.definition.name
            reason = f"{name} was recognised, but could not be located: {told(error, f'locating {name}')}"
            outcome.refused.append(Refusal(bench.series, reason, candidate.definition.id, defect=True))
            continue
        _judge(analysis, baselines)
        analysis.seconds = time.perf_counter() - began
        outcome.analyses.append(analysis)
        keep_within_memory(one.series for one in outcome.analyses)
    _name_left_over(chosen, outcome)
    return outcome


def _chosen(
    bench: Workbench, available: Sequence[Definition], wanted: Definition | None, by_hand: bool
) -> Candidate | Refusal:
    """As `_choose`; a series on which it fails is refused."""
    try:
        return _choose(bench, available, wanted, by_hand)
    except DefinitionError:
        raise
    except Exception as error:  # noqa: BLE001 - a defect that one series meets must not take the others with it
        return Refusal(bench.series, told(error, "looking at a series"), defect=True)


def _choose(
    bench: Workbench, available: Sequence[Definition], wanted: Definition | None, by_hand: bool
) -> Candidate | Refusal:
    """The phantom of a series, or why it is none."""
    series = bench.series
    unfit = series.too_much or _unfit(series)
    if unfit:
        return Refusal(series, unfit)
    ranked = recognise(bench, available)
    best = ranked[0] if ranked else None
    if wanted is None:
        if best is None or best.match.score < ACCEPTED:
            return _not_recognised(bench, ranked, available)
        bench.series.notes.extend(_not_looked_for(bench, available))
        return best
    own = next((one for one in ranked if one.definition.id == wanted.id), None)
    if own is not None and wanted.recognise.get("when_asked"):
        # A template that claims to recognise nothing is taken at its user's word.
        return own
    if own is not None and (own.match.score >= ACCEPTED or by_hand):
        assert best is not None
        if best.match.score - own.match.score <= 2 * LEAD or by_hand:
            return replace(own, alike=())  # told by its user
    if best is not None and best.definition.id != wanted.id and best.match.score >= ACCEPTED:
        return Refusal(series, f"this is not {wanted.name}: it looks like {best.definition.name}", best.definition.id)
    if wanted.id in bench.defects:
        return Refusal(series, f"{wanted.name} could not be looked for: {bench.defects[wanted.id]}", defect=True)
    said = f": {'; '.join(own.match.evidence)}" if own and own.match.evidence else ""
    return Refusal(series, f"{wanted.name} is not recognised in these images{said}")


def _unfit(series: ImageSeries) -> str:
    """Why nothing can be measured in images with such a header; empty where it can."""
    rows, columns = series.shape
    if min(rows, columns) < _LEAST_SIDE:
        return f"{rows} × {columns} pixels are too few to show a phantom"
    if series.spacing_mm is None:
        return "no pixel spacing in the header: lengths cannot be measured"
    spacing = series.spacing_mm
    if not _PIXEL_MM[0] <= min(spacing) <= max(spacing) <= _PIXEL_MM[1] or max(spacing) > _OBLONG * min(spacing):
        said = f"the header says that a pixel is {spacing[0]:.4g} mm high and {spacing[1]:.4g} mm wide"
        return f"{said}, which cannot be: lengths cannot be measured"
    if "MOSAIC" in [str(one).upper() for one in many(series.header.get("ImageType"))]:
        return "a mosaic of several slices in one image: send the slices singly, or as a multi-frame object"
    return ""


def _not_recognised(bench: Workbench, ranked: Sequence[Candidate], known: Sequence[Definition]) -> Refusal:
    """What the images are nearest to, with what speaks against it; templates that claim nothing are no neighbours."""
    series = bench.series
    near = [one for one in ranked if not one.definition.recognise.get("when_asked")]
    near = [one for one in near if one.match.score == near[0].match.score]
    said = ["no known phantom recognised"]
    if not any(series.modality in one.modalities for one in known):
        said.append(f"there is none for {series.modality or 'images without a modality'}")
    if near:
        names = " or ".join(one.definition.name for one in near)
        said.append(f"nearest is {names} ({near[0].match.score:.2f}): {'; '.join(near[0].match.evidence)}")
    if series.modality == "CT" and float(series.volume.min()) > _NO_AIR_HU:
        said.append(
            f"no pixel is below {_NO_AIR_HU:g} HU: either the rescale to CT numbers is missing, or the images show no air"
        )
    said.extend(_not_looked_for(bench, known))
    looks_like = near[0].definition.id if len(near) == 1 else None
    return Refusal(series, "; ".join(said), looks_like, defect=bool(bench.defects))


def _not_looked_for(bench: Workbench, known: Sequence[Definition]) -> list[str]:
    """A line for each way in which this program failed to look for phantoms, with their names."""
    names = {one.id: one.name for one in known}
    reasons: dict[str, list[str]] = {}
    for each, reason in bench.defects.items():
        reasons.setdefault(reason, []).append(names[each])
    return [f"{', '.join(missed)} could not be looked for: {reason}" for reason, missed in reasons.items()]


def _repeat_key(series: ImageSeries) -> tuple[Any, ...]:
    """What two scans of the same phantom share when one is the repeat of the other."""
    header = series.header
    return (
        header.get("StudyInstanceUID"),
        series.shape,
        tuple(round(float(z), 1) for z in series.z_mm),
        *(
            str(header.get(key))
            for key in (
                "RepetitionTime",
                "EchoTime",
                "KVP",
                "ConvolutionKernel",
                "Manufacturer",
                "SliceThickness",
                "ImageType",
            )
        ),
    )


def _with_companions(chosen: list[tuple[Workbench, Candidate]], outcome: Outcome) -> list[tuple[Workbench, Candidate]]:
    """Main series, each with what was scanned beside it; a repeat is measured with its first scan where it is paired."""
    mains: list[tuple[Workbench, Candidate]] = []
    firsts: dict[tuple[Any, ...], Workbench] = {}
    # Two scans are a repeat; more of one kind are the channels of a coil or a dynamic series, each measured by itself.
    alike = Counter((its.definition.id, *_repeat_key(one.series)) for one, its in chosen)
    for bench, candidate in chosen:
        bench.beside = [
            other
            for other, its in chosen
            if other is not bench
            and its.definition.id == candidate.definition.id
            and other.header("StudyInstanceUID") == bench.header("StudyInstanceUID")
        ]
        bench.companions = [other.series for other in bench.beside]
        if candidate.match.companion:
            if not any(not its.match.companion and its.definition.id == candidate.definition.id for _, its in chosen):
                outcome.refused.append(
                    Refusal(
                        bench.series,
                        f"only measured beside a main series of {candidate.definition.name}, and there is none",
                    )
                )
            continue
        if candidate.definition.recognise.get("pool_study"):
            # All images of the study make one result; the first is measured with the others beside it.
            pooled = (candidate.definition.id, bench.header("StudyInstanceUID"))
            if pooled in firsts:
                continue
            firsts[pooled] = bench
        if candidate.definition.recognise.get("pair_repeats"):
            key = (candidate.definition.id, *_repeat_key(bench.series))
            if key in firsts and alike[key] == 2:
                continue
            firsts[key] = bench
        mains.append((bench, candidate))
    return mains


def _name_left_over(chosen: Sequence[tuple[Workbench, Candidate]], outcome: Outcome) -> None:
    """Refuse what was to be measured with a main series that could not be."""
    settled = {id(series) for one in outcome.analyses for series in (one.series, *one.companions)}
    settled |= {id(one.series) for one in outcome.refused}
    for bench, candidate in chosen:
        if id(bench.series) not in settled:
            reason = f"only measured beside another series of {candidate.definition.name}, which could not be measured"
            outcome.refused.append(Refusal(bench.series, reason, candidate.definition.id, defect=True))


def _measured(bench: Workbench, candidate: Candidate, overrides: Overrides | None) -> Analysis:
    """Locate and measure one phantom."""
    definition = candidate.definition
    reach = definition.body.get("plane_reach_mm")
    bench.plane_reach_mm = None if reach is None else float(reach)
    pose = find_locator(definition.locator).locate(bench, definition)
    others = located(bench, candidate.alike)
    if names := turned_otherwise(pose, others):
        pose = pose.doubt(
            f"these images do not tell it from {names}, which would lie turned otherwise", of_values=False
        )
    if overrides:
        sized = _sized(definition, overrides.scale)
        pose = overrides.apply(pose, [float(z) for z in bench.series.z_mm], bench.series.shape, sized=sized)
    analysis = Analysis(
        definition,
        bench.series,
        pose,
        recognised_by=candidate.match.evidence,
        companions=tuple(bench.companions),
        notes=[*definition.caveats, *bench.series.notes, *bench.untold],
        facts=bench.facts,
    )
    found: list[PhantomMeasurement] = []
    for measure in definition.measures:
        measured = _measure(bench, pose, definition, measure)
        if names := elsewhere(measure, (definition, pose), others):
            reason = f"these images do not tell the phantom from {names}, where this is something else"
            measured = [replace(one, measured=one.measured.doubt(reason)) for one in measured]
        found.extend(measured)
    if bench.series.modality == "CT" and str(bench.header("LossyImageCompression") or "") == "01":
        # What a lossy code leaves of noise, faint discs and fine bars is its own choice.
        found = [replace(one, measured=one.measured.doubt(_LOSSY)) for one in found]
    for unit, reason in bench.unit_doubts.items():
        found = [
            replace(one, measured=one.measured.doubt(reason)) if one.measured.unit == unit else one for one in found
        ]
    if pose.doubts_values:
        found = [_doubted(one, pose) for one in found]
    analysis.measurements = found
    return analysis


def _sized(definition: Definition, scale: float | None) -> bool:
    """Whether an image tells that a scale is wrong: by a size, or by a range of sizes that is too narrow for it."""
    for name, value in definition.body.items():
        if name.endswith("range_mm"):
            low, high = (float(one) for one in value)
            if scale is not None and not low / high <= scale <= high / low:
                return True
        elif name.endswith("_mm") and name != "plane_reach_mm":
            return True
    return False


def _judge(analysis: Analysis, baselines: Callable[[Analysis], Mapping[str, float]] | None) -> None:
    """Judge what was measured; what the caller's own function raises is the caller's."""
    accepted = baselines(analysis) if baselines else {}
    analysis.measurements = [
        judge(one, analysis.definition, facts=analysis.facts, baselines=accepted) for one in analysis.measurements
    ]


def _doubted(one: PhantomMeasurement, pose: Pose) -> PhantomMeasurement:
    return replace(one, measured=one.measured.doubt(f"localisation: {pose.reason}"))


def _measure(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> list[PhantomMeasurement]:
    """One measure by itself: whatever goes wrong in it is told in its place and stops nothing else."""
    if pose.status == "not_measurable":
        gone = not_measurable(measure.name, "1", f"the phantom was not located: {pose.reason}")
        return [PhantomMeasurement(gone, module=measure.module)]
    procedure = find_procedure(measure.procedure)
    try:
        return list(procedure(bench, pose, definition, measure))
    except Exception as error:  # noqa: BLE001 - a defect in one procedure must not take the others' results with it
        reason = told(error, f"measuring {measure.name} of {definition.name}")
        return [PhantomMeasurement(not_measurable(measure.name, "1", reason), module=measure.module)]
