"""The eight backgrounds. A new one is a function and an entry in `PAINTERS`."""

from collections.abc import Callable

import numpy as np

from kadr.sample.drawing.brush import tone
from kadr.sample.drawing.ground import Ground
from kadr.sample.vocabulary import RGB

HORIZON = 0.5


def _sky(ground: Ground, bottom: float, upper: RGB, lower: RGB, clouds: float) -> None:
    ground.gradient(0, bottom, upper, lower)
    n_rows = ground.n_rows(0, bottom)
    cover = np.clip(ground.cloud((5, 4), n_rows) * 0.5 + ground.cloud((14, 9), n_rows) * 0.2, 0, 1)
    ground.blend(0, bottom, (250, 250, 250), (clouds * cover).astype(np.float32))


def _beach(ground: Ground) -> None:
    _sky(ground, HORIZON - 0.06, (82, 150, 220), (190, 220, 236), 0.8)
    ground.gradient(HORIZON - 0.06, 0.62, (28, 96, 150), (70, 170, 184))
    ground.noise(HORIZON - 0.06, 0.62, (8, 14), 9)
    ground.gradient(0.62, 1, (226, 204, 156), (206, 178, 124))
    surf = ground.cloud((7, 1), ground.n_rows(0.6, 0.65)) * 0.3 + 0.7
    ground.blend(0.6, 0.65, (244, 248, 248), np.clip(surf, 0, 1))
    ground.noise(0.65, 1, (10, 6), 5)
    ground.noise(0.65, 1, (110, 50), 6)


def _meadow(ground: Ground) -> None:
    _sky(ground, HORIZON, (96, 164, 228), (204, 228, 240), 0.9)
    ground.hills(HORIZON, 0.1, 5, (92, 130, 96))
    ground.gradient(HORIZON, 1, (132, 174, 84), (74, 128, 44))
    ground.noise(HORIZON, 1, (9, 8), 8)
    ground.noise(HORIZON, 1, (150, 24), 14)


def _snow(ground: Ground) -> None:
    _sky(ground, HORIZON, (150, 166, 186), (206, 214, 222), 0.5)
    for number in range(int(ground.rng.integers(5, 10))):
        middle, tall = float(ground.rng.uniform(0, 1)), float(ground.rng.uniform(0.1, 0.2))
        for step in range(12):
            half = 0.035 * (step + 1) / 12
            top = HORIZON + 0.02 - tall * (1 - step / 12)
            ground.box(middle - half, top, middle + half, top + tall / 10, (60, 78 + 3 * number, 84))
    ground.gradient(HORIZON, 1, (222, 228, 238), (246, 248, 252))
    ground.noise(HORIZON, 1, (5, 5), 6)
    ground.noise(HORIZON, 1, (60, 30), 3)


def _street(ground: Ground) -> None:
    _sky(ground, 0.4, (170, 184, 200), (214, 220, 224), 0.4)
    left = -0.05
    while left < 1:
        right = left + float(ground.rng.uniform(0.2, 0.34))
        top = float(ground.rng.uniform(0.04, 0.22))
        grey = float(ground.rng.uniform(120, 176))
        ground.box(left, top, right, 0.56, (grey + 14, grey, grey - 12))
        for row in np.arange(top + 0.04, 0.48, 0.1):
            for column in np.arange(left + 0.025, right - 0.04, 0.065):
                ground.box(float(column), float(row), float(column) + 0.035, float(row) + 0.055, (72, 84, 98))
        left = right
    ground.gradient(0.56, 0.66, (176, 174, 170), (160, 158, 154))
    ground.gradient(0.66, 1, (104, 104, 108), (76, 76, 80))
    ground.box(0, 0.655, 1, 0.67, (200, 198, 192))
    for dash in np.arange(float(ground.rng.uniform(-0.2, 0)), 1, 0.24):
        ground.box(float(dash), 0.93, float(dash) + 0.12, 0.95, (226, 222, 206))
    ground.noise(0, 1, (150, 110), 6)


def _room(ground: Ground) -> None:
    walls: tuple[RGB, ...] = ((222, 206, 178), (206, 196, 204), (196, 208, 190))
    wall = walls[int(ground.rng.integers(len(walls)))]
    ground.gradient(0, 0.66, wall, tone(wall, 0.88))
    stripe = 0.5 + 0.5 * np.sin(np.arange(ground.width) * (2 * np.pi / 13))
    ground.pixels[: ground.n_rows(0, 0.63)] -= (7 * stripe)[None, :, None].astype(np.float32)
    frame = float(ground.rng.uniform(0.06, 0.6))
    ground.box(frame, 0.06, frame + 0.3, 0.4, (240, 236, 228))
    ground.box(frame + 0.02, 0.08, frame + 0.14, 0.38, (176, 206, 226))
    ground.box(frame + 0.16, 0.08, frame + 0.28, 0.38, (166, 198, 220))
    ground.gradient(0.66, 1, (160, 112, 72), (132, 86, 52))
    ground.box(0, 0.62, 1, 0.66, (238, 232, 222))
    for board in np.linspace(0.66, 1, 7):
        ground.box(0, float(board), 1, float(board) + 0.01, (104, 66, 40))
    ground.noise(0.66, 1, (6, 60), 7)


def _night(ground: Ground) -> None:
    ground.gradient(0, HORIZON + 0.06, (8, 10, 34), (36, 40, 84))
    for _ in range(70):
        x, y = ground.rng.uniform(0, 1), ground.rng.uniform(0, HORIZON - 0.08)
        ground.pixels[int(y * ground.height), int(x * ground.width)] = float(ground.rng.uniform(130, 255))
    moon = ground.rng.uniform((0.1, 0.08), (0.9, 0.2))
    down, across = np.mgrid[: ground.height, : ground.width].astype(np.float32)
    away = np.hypot(across - moon[0] * ground.width, down - moon[1] * ground.height) / ground.height
    ground.blend(0, 1, (90, 96, 140), 0.6 * np.clip(1 - away / 0.2, 0, 1) ** 2)
    ground.blend(0, 1, (246, 244, 222), np.clip((0.06 - away) * 80, 0, 1))
    ground.hills(HORIZON + 0.06, 0.12, 6, (16, 20, 36))
    ground.gradient(HORIZON + 0.06, 1, (30, 40, 52), (44, 54, 60))
    ground.noise(HORIZON + 0.06, 1, (60, 24), 4)


def _lake(ground: Ground) -> None:
    _sky(ground, 0.42, (118, 170, 214), (214, 226, 230), 0.7)
    ground.hills(0.42, 0.3, 4, (104, 118, 150))
    ground.hills(0.42, 0.12, 8, (58, 92, 74))
    ground.gradient(0.42, 0.74, (64, 124, 156), (46, 100, 140))
    ground.noise(0.42, 0.74, (6, 26), 10)
    ground.gradient(0.74, 1, (120, 140, 78), (92, 112, 56))
    ground.noise(0.74, 1, (90, 16), 12)


def _desert(ground: Ground) -> None:
    _sky(ground, HORIZON, (90, 160, 214), (240, 222, 190), 0.15)
    ground.hills(HORIZON, 0.14, 4, (214, 160, 96))
    ground.gradient(HORIZON, 1, (226, 172, 100), (204, 140, 72))
    ripple = np.linspace(0, 60, ground.n_rows(HORIZON, 1), dtype=np.float32)[:, None]
    wave = np.sin(ripple + 2.5 * ground.cloud((4, 4), ground.n_rows(HORIZON, 1)))
    ground.pixels[round(HORIZON * ground.height) :] += 8 * wave[..., None]
    ground.noise(HORIZON, 1, (100, 50), 5)


PAINTERS: dict[str, Callable[[Ground], None]] = {
    "beach": _beach,
    "meadow": _meadow,
    "snow": _snow,
    "street": _street,
    "room": _room,
    "night": _night,
    "lake": _lake,
    "desert": _desert,
}
