"""Take screenshots of the Prefect, MLflow and kadr web pages for the documentation.

Run the script in a project whose pipeline has run. First change a setting, so that the flow has stages to run and
MLflow has two training runs to compare:

    dvc repro && kadr use sample -S train.num_leaves=12 && python docs/pictures.py

The script requires the Debian package chromium. The Prefect server stores its data in a temporary folder.
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
WINDOW_SIZE = {"width": 1280, "height": 800}
N_COLOURS = 128
QUERY = "a red house left of a tree"
TIMEOUT_S = 120
ANIMATION_MS = 3000


@contextmanager
def run_server(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """Run a server on a free local port and yield its address when the server responds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*command, "--port", str(port)], env=environment, start_new_session=True)  # noqa: S603
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + TIMEOUT_S
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


def open_page(browser: Browser, address: str, *texts: str) -> Page:
    """Open a page in the light colour scheme and wait until all given texts are visible."""
    page = browser.new_page(viewport=WINDOW_SIZE, color_scheme="light")
    page.set_default_timeout(TIMEOUT_S * 1000)
    # Prefect ignores the colour scheme of the browser.
    page.add_init_script("""localStorage.setItem("color-scheme", '"light"')""")
    page.goto(address)
    for text in texts:
        page.get_by_text(text).first.wait_for()
    return page


def save_screenshot(page: Page, path: Path) -> None:
    """Wait until animations have ended, and save the visible part of the page as a PNG file with 128 colours."""
    page.wait_for_timeout(ANIMATION_MS)
    screenshot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    screenshot.quantize(N_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def capture_prefect(browser: Browser, home: Path) -> None:
    """Run the pipeline with a temporary Prefect server, and take a screenshot of the flow run."""
    environment = os.environ | {"PREFECT_HOME": str(home), "PREFECT_SERVER_UI_API_URL": "/api"}
    with run_server([sys.executable, "-m", "prefect", "server", "start"], environment) as address:
        api = {"PREFECT_API_URL": f"{address}/api"}
        subprocess.run([sys.executable, "-m", "flows.pipeline"], check=True, env=environment | api)
        page = open_page(browser, f"{address}/runs", "Completed")
        page.locator("a[href*='/runs/flow-run/']").first.click()
        page.get_by_text("Task Runs").first.wait_for()
        save_screenshot(page, DOCS / "prefect.png")


def capture_mlflow(browser: Browser) -> None:
    """Take a screenshot of the last two training runs, compared in MLflow."""
    mlflow.set_tracking_uri(STORE)
    training_runs = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.`kadr.role` = 'model'",
        max_results=2,
        output_format="list",
    )
    run_ids = "[" + ",".join(f'"{run.info.run_id}"' for run in training_runs) + "]"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", STORE, "--workers", "1"]
    with run_server(command, dict(os.environ)) as address:
        experiment = training_runs[0].info.experiment_id
        comparison = f'{address}/#/compare-runs?runs={run_ids}&experiments=["{experiment}"]'
        page = open_page(browser, comparison, "Run details")
        page.get_by_role("button", name="Close").click()  # the assistant panel covers the page
        page.get_by_text("Visualizations").click()  # closes the section above the run details
        page.get_by_text("Show diff only").first.click()
        page.get_by_text("Comparing 2 Runs").scroll_into_view_if_needed()
        save_screenshot(page, DOCS / "mlflow.png")


def capture_kadr(browser: Browser) -> None:
    """Take a screenshot of search results on the page of `kadr serve`."""
    with run_server(["kadr", "serve"], dict(os.environ)) as address:
        page = open_page(browser, f"{address}/?{urllib.parse.urlencode({'q': QUERY})}", "best first")
        page.wait_for_load_state("networkidle")
        save_screenshot(page, DOCS / "page.png")


def main() -> None:
    """Take the screenshots of Prefect, MLflow and kadr."""
    with (
        tempfile.TemporaryDirectory() as home,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"]) as browser,
    ):
        capture_prefect(browser, Path(home))
        capture_mlflow(browser)
        capture_kadr(browser)


if __name__ == "__main__":
    main()
