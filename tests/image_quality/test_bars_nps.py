"""Bar patterns, noise power spectra and DQE against patterns and spectra whose truth is set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from dose_audit.image_quality import (
    BarGroup,
    bar_mtf,
    bar_mtf_curve,
    dqe,
    edge_mtf,
    noise_power_spectrum,
    normalised_nps,
    photon_fluence,
)
from dose_audit.image_quality.sampling import rectangle_response, sample_rectangle
from tests.image_quality import truth

PIXEL, SIGMA = 0.15, 0.15


def solids(random, noise):
    return 500 + random.normal(0, noise, (25, 25)), -300 + random.normal(0, noise, (25, 25))


@pytest.mark.parametrize("frequency", [1.0, 1.5, 2.0, 2.5])
@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_bars_without_noise(frequency, angle):
    image = truth.bars((40, 40), PIXEL, frequency, SIGMA, bar=500.0, gap=-300.0, phase=0.7, angle_deg=angle)
    found = bar_mtf(image, *solids(np.random.default_rng(0), 0.0), PIXEL, frequency)
    assert found.status == "ok", found.reason
    assert found.value == pytest.approx(truth.bars_truth(frequency, PIXEL, SIGMA, angle), abs=0.002)


@pytest.mark.parametrize("frequency", [1.5, 2.0, 2.5])
def test_bars_where_maximum_and_minimum_read_60_percent_too_much(frequency):
    random = np.random.default_rng(11)
    wanted = truth.bars_truth(frequency, PIXEL, SIGMA)
    values, reported, naive = [], [], []
    for _ in range(150):  # 40 draws leave a share of 0.68 uncertain by 0.07
        image = truth.bars((40, 40), PIXEL, frequency, SIGMA, bar=500.0, gap=-300.0, phase=random.uniform(0, 6))
        image += random.normal(0, 20, image.shape)
        found = bar_mtf(image, *solids(random, 20.0), PIXEL, frequency)
        values.append(found.value)
        reported.append(found.uncertainty)
        naive.append((image.max() - image.min()) / 800)
    assert np.mean(values) == pytest.approx(wanted, abs=0.0015)
    assert np.std(values) < 0.004
    assert np.mean(naive) > wanted * 1.3
    errors = np.array(values) - wanted
    assert truth.covered(errors, reported) >= 0.55 and truth.covered(errors, reported, 2) >= 0.88


def test_harmonics_of_coarse_groups_are_taken_out():
    random = np.random.default_rng(0)
    frequencies = (0.4, 0.6, 0.9, 1.2, 1.8, 2.4, 3.0)
    groups = [
        BarGroup(f, truth.bars((80, 80), PIXEL, f, SIGMA, bar=500.0, gap=-300.0, phase=random.uniform(0, 6)))
        for f in frequencies
    ]
    found = bar_mtf_curve(groups, *solids(random, 0.0), PIXEL)
    for f, one in zip(frequencies, found, strict=True):
        assert one.value == pytest.approx(truth.bars_truth(f, PIXEL, SIGMA), abs=0.005)


@pytest.mark.parametrize("angle", [0.0, 12.0, 45.0, 160.0])
@pytest.mark.parametrize("frequency", [0.2, 0.3])
def test_modulation_that_sampling_between_pixels_takes_is_put_back(frequency, angle):
    """Pixels of 1.2 mm, at half and 0.72 of their Nyquist frequency; a sine of modulation 0.6, sampled along its direction."""
    pixel, centre = 1.2, (40.3, 39.6)
    rows, columns = (np.indices((80, 80)) - np.array(centre)[:, None, None]) * pixel
    along = columns * np.cos(np.radians(angle)) + rows * np.sin(np.radians(angle))
    image = 100.0 + 0.6 * 400.0 * 2 / np.pi * np.sin(2 * np.pi * frequency * along + 0.4)
    size = (6 / frequency, 8.4)
    placed = {"angle_deg": angle, "counts": (round(size[0] / pixel) + 1, 7)}
    pattern = sample_rectangle(image, centre, size, pixel, **placed)
    response = rectangle_response(frequency, centre, size, pixel, **placed)
    solid = np.ones((10, 10))
    step = (8.4 / 7, size[0] / placed["counts"][0])
    found = [
        bar_mtf(pattern, 300.0 * solid, -100.0 * solid, step, frequency, harmonics=0.0, response=one).value
        for one in (None, response)
    ]
    assert found[1] == pytest.approx(0.6, rel=0.02)
    assert found[0] < found[1]


def test_doubtful_bars():
    random = np.random.default_rng(0)
    bar, gap = solids(random, 20.0)
    fine = truth.bars((40, 40), PIXEL, 2.0, SIGMA, bar=500.0, gap=-300.0)
    assert bar_mtf(100 + random.normal(0, 20, (40, 40)), bar, gap, PIXEL, 2.0).status == "suspect"
    assert "not at this frequency" in bar_mtf(fine, bar, gap, PIXEL, 1.0).reason
    assert "not its materials" in bar_mtf(fine + 2000, bar, gap, PIXEL, 2.0).reason
    for found in (
        bar_mtf(fine, bar, bar, PIXEL, 2.0),
        bar_mtf(fine, bar, gap, PIXEL, 5.0),
        bar_mtf(fine, bar, gap, PIXEL, 0.1),
        bar_mtf(np.full((40, 40), np.nan), bar, gap, PIXEL, 2.0),
        bar_mtf(fine[:4, :4], bar, gap, PIXEL, 2.0),
    ):
        assert found.status == "not_measurable" and found.value is None and found.reason


PX, F0 = 0.5, 0.35


def spectrum(f):
    return 100 * f * np.exp(-((f / F0) ** 2))


def variance_of(shape, spacing):
    fy, fx = np.fft.fftfreq(shape[0], spacing[0])[:, None], np.fft.fftfreq(shape[1], spacing[1])[None, :]
    return float(spectrum(np.hypot(fy, fx)).sum()) / (shape[0] * spacing[0] * shape[1] * spacing[1])


def test_coloured_noise_under_cupping_and_tilt():
    row, column = np.mgrid[:512, :512] - 255.5
    slow = 3e-4 * (row**2 + column**2) + 0.02 * column
    wanted = variance_of((512, 512), (PX, PX))
    ratios, peaks, means, curves, reported = [], [], [], [], []
    for seed in range(30):
        random = np.random.default_rng(seed)
        noise = np.stack([truth.coloured_noise(random, (512, 512), (PX, PX), spectrum) for _ in range(2)])
        nps = noise_power_spectrum(noise + slow, PX)
        assert nps.status == "ok" and nps.f_peak.status == "ok", nps.reason + nps.f_peak.reason
        ratios.append(nps.integral.value / wanted)
        reported.append(nps.integral.uncertainty / wanted)
        peaks.append(nps.f_peak.value)
        means.append(nps.f_av)
        curves.append(nps.density / spectrum(nps.frequencies_per_mm))
    one_bin = 1 / (128 * PX)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.005)
    assert np.abs(np.array(ratios) - 1).max() < 0.02
    assert truth.covered(np.array(ratios) - 1, reported, 2) >= 0.85
    assert np.abs(np.array(peaks) - F0 / np.sqrt(2)).max() <= one_bin
    f = np.linspace(0, 1, 5001)
    assert np.mean([m.value for m in means]) == pytest.approx((f * spectrum(f)).sum() / spectrum(f).sum(), rel=0.01)
    assert np.std([m.value for m in means]) == pytest.approx(np.mean([m.uncertainty for m in means]), rel=0.4)
    # Without detrending the lowest bins read 146, 7 and 2.5 times too much.
    assert np.abs(np.mean(curves, axis=0)[:8] - 1).max() < 0.12


def test_white_noise_has_its_level_and_axes_in_per_mm():
    noise = np.random.default_rng(0).normal(0, 10, (4, 512, 512))
    nps = noise_power_spectrum(noise, (0.5, 0.8))
    assert nps.density.mean() == pytest.approx(100 * 0.5 * 0.8, rel=0.02)
    assert nps.noise.value == pytest.approx(10.0, rel=0.01)
    assert nps.frequencies_per_mm[-1] <= nps.nyquist_per_mm == pytest.approx(0.625)
    assert nps.f_peak.status == "suspect"
    assert nps.row_frequencies_per_mm.max() == pytest.approx(1.0, rel=0.02)
    assert nps.column_frequencies_per_mm.max() == pytest.approx(0.625)
    df = (1 / (128 * 0.5)) * (1 / (128 * 0.8))
    twice = np.full(65, 2.0)
    twice[[0, -1]] = 1
    assert (nps.spectrum * twice).sum() * df == pytest.approx(nps.integral.value, rel=1e-3)


def test_against_welch_on_lines():
    # scipy's periodogram of single lines, with no overlap and no detrending, is another way to the same axis.
    noise = np.random.default_rng(1).normal(0, 1, (6, 512, 512))
    smooth = (noise + np.roll(noise, 1, axis=2)) / np.sqrt(2)
    nps = noise_power_spectrum(smooth, 0.2)
    f, lines = signal.periodogram(smooth.reshape(-1, 512), fs=5.0, axis=1)
    one_sided = np.interp(nps.along_rows.frequencies_per_mm, f, lines.mean(axis=0)) / 2 * 0.2
    above = nps.along_rows.frequencies_per_mm > 0.12  # below, the surface has been taken out of one of them
    assert np.allclose(nps.along_rows.density[above], one_sided[above], atol=0.05 * one_sided.max())


def test_white_level_and_its_uncertainty():
    levels, reported = [], []
    for seed in range(30):
        nps = noise_power_spectrum(np.random.default_rng(seed).normal(0, 10, (400, 400)), 0.5, roi_size=64)
        levels.append(nps.integral.value / 100 - 1)
        reported.append(nps.integral.uncertainty / 100)
    assert np.abs(levels).max() < 0.015
    assert truth.covered(levels, reported) >= 0.5 and truth.covered(levels, reported, 2) >= 0.85


def test_nnps_and_dqe_of_a_counting_detector():
    # A detector that counts q·Ka·A photons per pixel with efficiency 0.6 and only its pixels' aperture for an MTF:
    # white Poisson noise, NNPS = 1/(0.6 q Ka), DQE = 0.6 · MTF².
    fluence, kerma, efficiency, pixel = photon_fluence("RQA5").fluence_per_mm2_ugy, 2.5, 0.6, 0.15
    counts = efficiency * fluence * kerma * pixel**2
    random = np.random.default_rng(0)
    flats = random.poisson(counts, (3, 640, 640))
    nnps = normalised_nps(flats, pixel)
    assert nnps.unit == "mm2"
    assert nnps.along_rows.density.mean() == pytest.approx(1 / (efficiency * fluence * kerma), rel=0.02)
    edge = truth.edge((300, 300), (pixel, pixel), 3.0, 0.02, low=0.0, high=counts)
    result = dqe(edge_mtf(edge, pixel), nnps.along_rows, kerma, fluence, air_kerma_uncertainty=0.02)
    assert result.status == "ok"
    for f in (0.5, 1.0, 2.0, 3.0):
        aperture = float(truth.edge_truth(f, (pixel, pixel), 3.0, 0.02))
        found = result.at(f)
        assert found.value == pytest.approx(efficiency * aperture**2, rel=0.15)
        assert abs(found.value - efficiency * aperture**2) < 4 * found.uncertainty
    wrong = dqe(edge_mtf(edge, pixel), nnps.along_rows, kerma / 3, fluence)
    assert wrong.status == "suspect" and "above 1" in wrong.reason
    blank = dqe(edge_mtf(np.zeros((50, 50)), pixel), nnps.along_rows, kerma, fluence)
    assert blank.status == "not_measurable" and blank.at(1.0).value is None


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.ones((200, 200)), "no noise"),
        (np.ones((8, 8)), "smaller"),
        (np.full((200, 200), np.nan), "number"),
    ],
)
def test_no_spectrum(image, word):
    nps = noise_power_spectrum(image, 0.5, roi_size=64)
    assert nps.status == "not_measurable" and word in nps.reason
    assert all(m.value is None for m in nps.measurements)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda noise: np.maximum(noise, -15.0), "clipped"),
        (lambda noise: np.round(noise / 25.0), "grey level"),
        (lambda noise: np.where(np.arange(128) < 64, 3.0, noise), "differ"),
        (lambda noise: noise + 100.0 * (np.hypot(*(np.mgrid[:128, :128] - 80.0)) < 12), "object"),
        (lambda noise: np.where(np.arange(128)[:, None] == 67, -1000.0, noise), "standard deviations"),
    ],
    ids=["clipped", "coarse", "half empty", "a disc in most regions", "a dead row"],
)
def test_what_is_no_even_noise_is_suspect(spoil, word):
    noise = np.random.default_rng(0).normal(0, 10, (128, 128))
    assert noise_power_spectrum(noise, 0.5, roi_size=64).status == "ok"
    found = noise_power_spectrum(spoil(noise), 0.5, roi_size=64)
    assert found.integral.status == "suspect" and word in found.reason


def test_an_object_in_a_region_is_suspect():
    noise = np.random.default_rng(0).normal(0, 10, (256, 256))
    noise[100:110, 100:110] += 400
    assert noise_power_spectrum(noise, 0.5, roi_size=64).status == "suspect"
    assert normalised_nps(noise, 0.5, roi_size=64, large_area_signal=-1.0).status == "not_measurable"
