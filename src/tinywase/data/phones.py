"""The sounds of the synthesizer: what the vocal tract of an average man does, stage by stage.

Vowel formants are rounded averages as every phonetics book tabulates them. Frequencies in Hz, durations in ms,
amplitudes relative to a vowel's.
"""

from __future__ import annotations

from dataclasses import dataclass

UPPER_HZ = (3500.0, 4500.0)  # fourth and fifth formant, the same for all sounds


@dataclass(frozen=True)
class Phone:
    """One stage of a sound."""

    formants_hz: tuple[float, ...] = (500.0, 1500.0, 2500.0, *UPPER_HZ)
    voicing: float = 0.0
    friction: float = 0.0  # noise at the teeth or lips
    aspiration: float = 0.0  # noise through the vocal tract
    noise_hz: float = 4000.0
    noise_width: float = 0.5  # octaves


Sound = tuple[tuple[Phone, float], ...]  # stages and their durations in ms


def _vowel(first: float, second: float, third: float, ms: float = 120.0) -> Sound:
    return ((Phone((first, second, third, *UPPER_HZ), voicing=1.0), ms),)


def _diphthong(start: Sound, end: Sound) -> Sound:
    return ((start[0][0], 80.0), (end[0][0], 90.0))


def _sonorant(first: float, second: float, third: float, voicing: float) -> Sound:
    return ((Phone((first, second, third, *UPPER_HZ), voicing=voicing), 65.0),)


def _fricative(noise_hz: float, width: float, friction: float, voicing: float = 0.0, second: float = 1600.0) -> Sound:
    formants = (350.0, second, 2500.0, *UPPER_HZ)
    return ((Phone(formants, voicing=voicing, friction=friction, noise_hz=noise_hz, noise_width=width), 95.0),)


def _stop(second: float, noise_hz: float, *, voiced: bool) -> Sound:
    """Closure, burst, and aspiration where the voice sets in late."""
    formants = (250.0, second, 2400.0, *UPPER_HZ)
    closure = Phone(formants, voicing=0.12 if voiced else 0.0)
    burst = Phone(formants, friction=0.35, noise_hz=noise_hz, noise_width=0.7, voicing=0.2 if voiced else 0.0)
    stages: Sound = ((closure, 60.0), (burst, 12.0))
    return stages if voiced else (*stages, (Phone(formants, aspiration=0.6), 35.0))


_I, _A, _U = _vowel(280, 2250, 2950), _vowel(730, 1120, 2440), _vowel(310, 900, 2250)
VOWELS: tuple[Sound, ...] = (
    _I,
    _A,
    _U,
    _vowel(400, 1950, 2550, 90),
    _vowel(540, 1820, 2480),
    _vowel(660, 1700, 2410),
    _vowel(570, 850, 2410),
    _vowel(450, 1050, 2250, 90),
    _vowel(640, 1200, 2400, 100),
    _vowel(490, 1350, 1700),
    _vowel(500, 1500, 2500, 60),
    _diphthong(_A, _I),
    _diphthong(_A, _U),
)
CONSONANTS: tuple[Sound, ...] = (
    _sonorant(250, 1000, 2200, 0.35),  # m
    _sonorant(260, 1500, 2500, 0.35),  # n
    _sonorant(350, 1100, 2700, 0.6),  # l
    _sonorant(330, 1200, 1600, 0.6),  # r
    _sonorant(290, 650, 2200, 0.6),  # w
    _sonorant(270, 2200, 3000, 0.6),  # y
    _fricative(6500, 0.35, 0.35),  # s
    _fricative(3500, 0.45, 0.35, second=1900.0),  # sh
    _fricative(5000, 1.2, 0.12, second=1100.0),  # f
    _fricative(5500, 1.2, 0.1),  # th
    _fricative(6500, 0.35, 0.2, voicing=0.3),  # z
    _fricative(4500, 1.2, 0.08, voicing=0.4, second=1100.0),  # v
    ((Phone(aspiration=0.8), 70.0),),  # h
    _stop(800, 900, voiced=True),  # b
    _stop(1750, 4500, voiced=True),  # d
    _stop(2000, 2000, voiced=True),  # g
    _stop(800, 900, voiced=False),  # p
    _stop(1750, 4500, voiced=False),  # t
    _stop(2000, 2000, voiced=False),  # k
)
