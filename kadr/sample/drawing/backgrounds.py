"""Functions that paint the eight backgrounds.

To add a background, add a function and an entry in `BACKGROUND_PAINTERS`.
"""

from collections.abc import Callable

import numpy as np

from kadr.sample.drawing.background_canvas import BackgroundCanvas
from kadr.sample.drawing.brush import adjust_brightness
from kadr.sample.scene_vocabulary import RGB

HORIZON = 0.5


def _sky(canvas: BackgroundCanvas, bottom: float, top_colour: RGB, bottom_colour: RGB, clouds: float) -> None:
    canvas.fill_gradient(0, bottom, top_colour, bottom_colour)
    n_rows = canvas.count_rows(0, bottom)
    opacity = np.clip(canvas.smooth_noise((5, 4), n_rows) * 0.5 + canvas.smooth_noise((14, 9), n_rows) * 0.2, 0, 1)
    canvas.blend_colour(0, bottom, (250, 250, 250), (clouds * opacity).astype(np.float32))


def _beach(canvas: BackgroundCanvas) -> None:
    _sky(canvas, HORIZON - 0.06, (82, 150, 220), (190, 220, 236), 0.8)
    canvas.fill_gradient(HORIZON - 0.06, 0.62, (28, 96, 150), (70, 170, 184))
    canvas.add_noise(HORIZON - 0.06, 0.62, (8, 14), 9)
    canvas.fill_gradient(0.62, 1, (226, 204, 156), (206, 178, 124))
    surf = canvas.smooth_noise((7, 1), canvas.count_rows(0.6, 0.65)) * 0.3 + 0.7
    canvas.blend_colour(0.6, 0.65, (244, 248, 248), np.clip(surf, 0, 1))
    canvas.add_noise(0.65, 1, (10, 6), 5)
    canvas.add_noise(0.65, 1, (110, 50), 6)


def _meadow(canvas: BackgroundCanvas) -> None:
    _sky(canvas, HORIZON, (96, 164, 228), (204, 228, 240), 0.9)
    canvas.draw_hills(HORIZON, 0.1, 5, (92, 130, 96))
    canvas.fill_gradient(HORIZON, 1, (132, 174, 84), (74, 128, 44))
    canvas.add_noise(HORIZON, 1, (9, 8), 8)
    canvas.add_noise(HORIZON, 1, (150, 24), 14)


def _snow(canvas: BackgroundCanvas) -> None:
    _sky(canvas, HORIZON, (150, 166, 186), (206, 214, 222), 0.5)
    for number in range(int(canvas.rng.integers(5, 10))):
        middle, tall = float(canvas.rng.uniform(0, 1)), float(canvas.rng.uniform(0.1, 0.2))
        for step in range(12):
            half = 0.035 * (step + 1) / 12
            top = HORIZON + 0.02 - tall * (1 - step / 12)
            canvas.fill_rectangle(middle - half, top, middle + half, top + tall / 10, (60, 78 + 3 * number, 84))
    canvas.fill_gradient(HORIZON, 1, (222, 228, 238), (246, 248, 252))
    canvas.add_noise(HORIZON, 1, (5, 5), 6)
    canvas.add_noise(HORIZON, 1, (60, 30), 3)


def _street(canvas: BackgroundCanvas) -> None:
    _sky(canvas, 0.4, (170, 184, 200), (214, 220, 224), 0.4)
    left = -0.05
    while left < 1:
        right = left + float(canvas.rng.uniform(0.2, 0.34))
        top = float(canvas.rng.uniform(0.04, 0.22))
        grey = float(canvas.rng.uniform(120, 176))
        canvas.fill_rectangle(left, top, right, 0.56, (grey + 14, grey, grey - 12))
        for row in np.arange(top + 0.04, 0.48, 0.1):
            for column in np.arange(left + 0.025, right - 0.04, 0.065):
                canvas.fill_rectangle(
                    float(column), float(row), float(column) + 0.035, float(row) + 0.055, (72, 84, 98)
                )
        left = right
    canvas.fill_gradient(0.56, 0.66, (176, 174, 170), (160, 158, 154))
    canvas.fill_gradient(0.66, 1, (104, 104, 108), (76, 76, 80))
    canvas.fill_rectangle(0, 0.655, 1, 0.67, (200, 198, 192))
    for dash in np.arange(float(canvas.rng.uniform(-0.2, 0)), 1, 0.24):
        canvas.fill_rectangle(float(dash), 0.93, float(dash) + 0.12, 0.95, (226, 222, 206))
    canvas.add_noise(0, 1, (150, 110), 6)


def _room(canvas: BackgroundCanvas) -> None:
    walls: tuple[RGB, ...] = ((222, 206, 178), (206, 196, 204), (196, 208, 190))
    wall = walls[int(canvas.rng.integers(len(walls)))]
    canvas.fill_gradient(0, 0.66, wall, adjust_brightness(wall, 0.88))
    stripe = 0.5 + 0.5 * np.sin(np.arange(canvas.width) * (2 * np.pi / 13))
    canvas.pixels[: canvas.count_rows(0, 0.63)] -= (7 * stripe)[None, :, None].astype(np.float32)
    frame = float(canvas.rng.uniform(0.06, 0.6))
    canvas.fill_rectangle(frame, 0.06, frame + 0.3, 0.4, (240, 236, 228))
    canvas.fill_rectangle(frame + 0.02, 0.08, frame + 0.14, 0.38, (176, 206, 226))
    canvas.fill_rectangle(frame + 0.16, 0.08, frame + 0.28, 0.38, (166, 198, 220))
    canvas.fill_gradient(0.66, 1, (160, 112, 72), (132, 86, 52))
    canvas.fill_rectangle(0, 0.62, 1, 0.66, (238, 232, 222))
    for board in np.linspace(0.66, 1, 7):
        canvas.fill_rectangle(0, float(board), 1, float(board) + 0.01, (104, 66, 40))
    canvas.add_noise(0.66, 1, (6, 60), 7)


def _night(canvas: BackgroundCanvas) -> None:
    canvas.fill_gradient(0, HORIZON + 0.06, (8, 10, 34), (36, 40, 84))
    for _ in range(70):
        star_x, star_y = canvas.rng.uniform(0, 1), canvas.rng.uniform(0, HORIZON - 0.08)
        canvas.pixels[int(star_y * canvas.height), int(star_x * canvas.width)] = float(canvas.rng.uniform(130, 255))
    moon = canvas.rng.uniform((0.1, 0.08), (0.9, 0.2))
    y, x = np.mgrid[: canvas.height, : canvas.width].astype(np.float32)
    distance = np.hypot(x - moon[0] * canvas.width, y - moon[1] * canvas.height) / canvas.height
    canvas.blend_colour(0, 1, (90, 96, 140), 0.6 * np.clip(1 - distance / 0.2, 0, 1) ** 2)
    canvas.blend_colour(0, 1, (246, 244, 222), np.clip((0.06 - distance) * 80, 0, 1))
    canvas.draw_hills(HORIZON + 0.06, 0.12, 6, (16, 20, 36))
    canvas.fill_gradient(HORIZON + 0.06, 1, (30, 40, 52), (44, 54, 60))
    canvas.add_noise(HORIZON + 0.06, 1, (60, 24), 4)


def _lake(canvas: BackgroundCanvas) -> None:
    _sky(canvas, 0.42, (118, 170, 214), (214, 226, 230), 0.7)
    canvas.draw_hills(0.42, 0.3, 4, (104, 118, 150))
    canvas.draw_hills(0.42, 0.12, 8, (58, 92, 74))
    canvas.fill_gradient(0.42, 0.74, (64, 124, 156), (46, 100, 140))
    canvas.add_noise(0.42, 0.74, (6, 26), 10)
    canvas.fill_gradient(0.74, 1, (120, 140, 78), (92, 112, 56))
    canvas.add_noise(0.74, 1, (90, 16), 12)


def _desert(canvas: BackgroundCanvas) -> None:
    _sky(canvas, HORIZON, (90, 160, 214), (240, 222, 190), 0.15)
    canvas.draw_hills(HORIZON, 0.14, 4, (214, 160, 96))
    canvas.fill_gradient(HORIZON, 1, (226, 172, 100), (204, 140, 72))
    ripple = np.linspace(0, 60, canvas.count_rows(HORIZON, 1), dtype=np.float32)[:, None]
    wave = np.sin(ripple + 2.5 * canvas.smooth_noise((4, 4), canvas.count_rows(HORIZON, 1)))
    canvas.pixels[round(HORIZON * canvas.height) :] += 8 * wave[..., None]
    canvas.add_noise(HORIZON, 1, (100, 50), 5)


BACKGROUND_PAINTERS: dict[str, Callable[[BackgroundCanvas], None]] = {
    "beach": _beach,
    "meadow": _meadow,
    "snow": _snow,
    "street": _street,
    "room": _room,
    "night": _night,
    "lake": _lake,
    "desert": _desert,
}
