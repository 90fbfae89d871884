"""Pictures of Prefect's, MLflow's and kadr's pages for docs/, made in a project whose pipeline has run.

Change a setting first, so that stages run and a second training is there to be compared:

    dvc repro && kadr use sample -S train.num_leaves=12 && python docs/pictures.py

It wants Debian's package chromium. The servers keep what they have in a folder that is gone afterwards.
"""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

DOCS = Path(__file__).parent
STORE = "sqlite:///mlflow.db"
SIZE = {"width": 1280, "height": 800}
COLOURS = 128
TEXT = "a red house left of a tree"
WAIT_S = 120


@contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """The address of a server on a free port of this machine, once it answers; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*command, "--port", str(port)], env=environment, start_new_session=True)  # noqa: S603
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + WAIT_S
        while True:
            try:
                urllib.request.urlopen(address).close()
                break
            except OSError:
                if time.monotonic() > end or server.poll() is not None:
                    raise
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def opened(browser: Browser, address: str, *texts: str) -> Page:
    """The page at the address, in light colours, once it shows all the texts."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.set_default_timeout(WAIT_S * 1000)
    page.add_init_script("""localStorage.setItem("color-scheme", '"light"')""")  # Prefect does not ask the browser
    page.goto(address)
    for text in texts:
        page.get_by_text(text).first.wait_for()
    return page


def shoot(page: Page, path: Path) -> None:
    """Write what is seen of the page as a PNG of few colours."""
    page.wait_for_timeout(3000)  # its curves and bars are still moving
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


def picture_prefect(browser: Browser, home: Path) -> None:
    """Run the pipeline by a server of its own, and take the page of that run."""
    environment = os.environ | {"PREFECT_HOME": str(home), "PREFECT_SERVER_UI_API_URL": "/api"}  # the free port's
    with serving([sys.executable, "-m", "prefect", "server", "start"], environment) as address:
        api = {"PREFECT_API_URL": f"{address}/api"}
        subprocess.run([sys.executable, "-m", "flows.pipeline"], check=True, env=environment | api)
        page = opened(browser, f"{address}/runs", "Completed")
        page.locator("a[href*='/runs/flow-run/']").first.click()
        page.get_by_text("Task Runs").first.wait_for()
        shoot(page, DOCS / "prefect.png")


def picture_mlflow(browser: Browser) -> None:
    """Compare the last two trainings."""
    mlflow.set_tracking_uri(STORE)
    trainings = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.`kadr.role` = 'model'",
        max_results=2,
        output_format="list",
    )
    runs = "[" + ",".join(f'"{run.info.run_id}"' for run in trainings) + "]"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", STORE, "--workers", "1"]
    with serving(command, dict(os.environ)) as address:
        experiment = trainings[0].info.experiment_id
        page = opened(browser, f'{address}/#/compare-runs?runs={runs}&experiments=["{experiment}"]', "Run details")
        page.get_by_role("button", name="Close").click()  # the assistant
        page.get_by_text("Show diff only").first.click()
        shoot(page, DOCS / "mlflow.png")


def picture_kadr(browser: Browser) -> None:
    """The answer to a text in kadr's own page."""
    with serving(["kadr", "serve"], dict(os.environ)) as address:
        page = opened(browser, f"{address}/?{urllib.parse.urlencode({'q': TEXT})}", "the best first")
        page.wait_for_load_state("networkidle")
        shoot(page, DOCS / "page.png")


def main() -> None:
    """Make all three."""
    with (
        tempfile.TemporaryDirectory() as home,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"]) as browser,
    ):
        picture_prefect(browser, Path(home))
        picture_mlflow(browser)
        picture_kadr(browser)


if __name__ == "__main__":
    main()
