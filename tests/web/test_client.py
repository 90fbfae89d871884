"""Tests of the Python client, synchronous and asynchronous, with a real server."""

import asyncio
import inspect
import io
import runpy
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

import kadr
from kadr.client import (
    ClientError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    SearchFilters,
    SearchTerm,
    ServerError,
    UnauthorizedError,
)
from kadr.serve import create_app
from tests.web.conftest import MakeService, describe_image

TOKEN = "correct horse battery"
Serve = Callable[[FastAPI], AbstractContextManager[str]]


class Blocking:
    """An AsyncClient whose methods can be called like those of a Client."""

    def __init__(self, client: kadr.AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: object, **kwargs: object) -> Any:
            result = method(*args, **kwargs)
            return self._loop.run_until_complete(_collect(result) if isinstance(result, AsyncIterator) else result)

        return call


async def _collect(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


MakeClient = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """A function that returns a client, with the arguments of `kadr.Client`."""
    loop = asyncio.new_event_loop()
    clients: list[Any] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            clients.append(kadr.Client(*args, **kwargs))
        else:
            clients.append(Blocking(kadr.AsyncClient(*args, **kwargs), loop))
        return clients[-1]

    yield make
    for client in clients:
        client.close() if request.param == "sync" else client.aclose()
    loop.close()


@pytest.fixture
def client(connect: MakeClient, make_service: MakeService, serve: Serve) -> Iterator[Any]:
    """A client of a server for 60 images."""
    with serve(create_app(make_service())) as url:
        yield connect(url)


def test_images_are_found_by_text_terms_filters_and_order(client: Any) -> None:
    found = client.search("red dog", k=5)
    assert (len(found.matches), found.more) == (5, True)
    assert found.matches[0].name.startswith("red dog")
    assert 0 <= found.matches[0].relevance <= 1
    assert found.matches[0].path.endswith(found.matches[0].name)
    by_terms = client.search(terms=[SearchTerm(text="red"), SearchTerm(text="dog", weight=0.5)], k=200)
    assert by_terms.matches
    filtered = client.search(filters=SearchFilters(name="blue*"), sort="name", k=200)
    assert filtered.n_images == 20
    names = [match.name for match in filtered.matches]
    assert names == sorted(names)
    assert all(name.startswith("blue") for name in names)


def test_all_results_are_iterated_in_pages(client: Any) -> None:
    matches = list(client.iter_search("red dog", page_size=7, fold_duplicates=False))
    assert len({match.image_id for match in matches}) == len(matches) == 60
    assert [match.image_id for match in matches[:5]] == [
        match.image_id for match in client.search("red dog", k=5, fold_duplicates=False).matches
    ]


def test_similar_images_are_found_by_id_and_by_file(client: Any, tmp_path: Path) -> None:
    image_id = describe_image(0)[0]
    assert client.similar(image_id, k=1, fold_duplicates=False).matches
    Image.new("RGB", (80, 60), "blue").save(tmp_path / "blue.png")
    options = {"filters": SearchFilters(name="blue*"), "k": 3, "text": "dog", "terms": [SearchTerm(text="sea")]}
    by_path = client.similar(tmp_path / "blue.png", **options)
    by_content = client.similar((tmp_path / "blue.png").read_bytes(), **options)
    assert by_path == by_content
    assert all(match.name.startswith("blue") for match in by_path.matches)
    assert 0 <= client.score(tmp_path / "blue.png", "blue dog") <= 1


def test_metadata_facets_and_images_are_read(client: Any) -> None:
    image_id = describe_image(4)[0]
    metadata = client.metadata(image_id)
    assert (metadata.image_id, metadata.width, metadata.height) == (image_id, 120, 160)
    assert client.facets(SearchFilters(name="red*")).n_images == 20
    assert Image.open(io.BytesIO(client.thumbnail(image_id, 160))).size == (120, 160)
    original = client.image(image_id, original=True)
    assert original == Path(metadata.path).read_bytes()
    assert Image.open(io.BytesIO(client.image(image_id))).size == (120, 160)
    archive = zipfile.ZipFile(io.BytesIO(client.download([image_id])))
    assert archive.read(archive.namelist()[0]) == original
    assert client.duplicates(k=1).n_groups >= 0


def test_favourites_and_saved_searches_are_kept(client: Any) -> None:
    image_id = describe_image(1)[0]
    client.add_favourite(image_id)
    assert client.favourites().image_ids == [image_id]
    assert [match.image_id for match in client.search(filters=SearchFilters(favourites=True)).matches] == [image_id]
    client.remove_favourite(image_id)
    assert client.favourites().image_ids == []
    client.save_search("dogs / snow", "dog", filters=SearchFilters(name="red*"), sort="newest")
    (saved,) = client.saved_searches()
    assert (saved.name, saved.text, saved.filters.name, saved.sort) == ("dogs / snow", "dog", "red*", "newest")
    client.remove_search("dogs / snow")
    assert client.saved_searches() == []


def test_pairs_are_rated_and_withdrawn(client: Any) -> None:
    pair = client.pairs("ann", "red dog", k=1).pairs[0]
    assert client.rate(pair.image_id, pair.text, "ann", 4).n_by_rater == 1
    assert [rating.rating for rating in client.ratings("ann").ratings] == [4]
    assert client.withdraw(pair.image_id, pair.text, "ann").n_by_rater == 0


def test_health_is_read(client: Any) -> None:
    health = client.health()
    assert (health.status, health.n_images, health.indexing) == ("ok", 60, None)


def test_errors_have_the_detail_and_the_status_of_the_server(client: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no image 'no/such'.*\(status 404\)") as raised:
        client.metadata("no/such")
    assert raised.value.status == 404
    assert raised.value.detail.startswith("The index has no image")
    with pytest.raises(InvalidRequestError, match=r"k: .*less than or equal to 200"):
        client.search("dog", k=1000)
    with pytest.raises(InvalidRequestError, match="min_relevance"):
        client.search(filters=SearchFilters(min_relevance=0.5), sort="relevance", terms=[SearchTerm(image_id="x")])
    with pytest.raises(NotFoundError):
        client.remove_search("unknown")
    with pytest.raises(ClientError, match=r"missing\.jpg: the image cannot be read"):
        client.score(tmp_path / "missing.jpg", "dog")


def test_the_token_is_sent(connect: MakeClient, make_service: MakeService, serve: Serve) -> None:
    with serve(create_app(make_service(), TOKEN)) as url:
        assert connect(url, TOKEN).search("dog", k=1).matches
        with pytest.raises(UnauthorizedError, match="access token is missing or wrong"):
            connect(url).search("dog")


def test_a_server_that_does_not_answer_is_an_error(connect: MakeClient) -> None:
    with pytest.raises(ConnectionFailedError, match=r"127\.0\.0\.1:9: the server does not answer .*kadr serve"):
        connect("http://127.0.0.1:9").health()


def transport(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    return httpx.MockTransport(answer)


def test_a_slow_server_is_an_error(connect: MakeClient) -> None:
    def time_out(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out")

    with pytest.raises(ConnectionFailedError, match="timed out"):
        connect(transport=transport(time_out)).health()


@pytest.mark.parametrize(
    ("status", "content", "error", "message"),
    [
        (502, "<html>Bad gateway</html>", ServerError, r"Bad gateway.*502"),
        (503, '{"detail": "No encoder."}', ServerError, r"No encoder\. \(status 503\)"),
        (200, '{"other": 1}', ClientError, r"the response is not a HealthResponse"),
    ],
)
def test_other_answers_are_errors(
    connect: MakeClient, status: int, content: str, error: type[ClientError], message: str
) -> None:
    with pytest.raises(error, match=message):
        connect(transport=transport(lambda _: httpx.Response(status, text=content))).health()


def test_both_clients_have_the_same_methods() -> None:
    def signatures(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        renamed = {"aclose": "close"}
        return {
            renamed.get(name, name): list(inspect.signature(method).parameters)
            for name, method in methods
            if name[0] != "_"
        }

    assert signatures(kadr.Client) == signatures(kadr.AsyncClient)


def test_the_client_closes_its_connections(make_service: MakeService, serve: Serve) -> None:
    async def search(url: str) -> int:
        async with kadr.AsyncClient(url) as client:
            return len((await client.search("dog", k=3)).matches)

    with serve(create_app(make_service())) as url:
        with kadr.Client(url) as client:
            assert len(client.search("dog", k=3).matches) == 3
        assert asyncio.run(search(url)) == 3


def test_the_types_are_up_to_date(project: Path) -> None:
    module = runpy.run_path(str(project / "docs/client_models.py"))
    assert (project / "kadr/client/models.py").read_text(encoding="utf-8") == module["generate"](), (
        "kadr/client/models.py is out of date: run `python docs/client_models.py`"
    )


def test_a_missing_httpx_names_the_extra() -> None:
    code = "import sys; sys.modules['httpx'] = None; import kadr; print(kadr.__version__); kadr.Client"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert process.stdout.strip() == kadr.__version__
    assert "pip install 'kadr[client]'" in process.stderr.splitlines()[-1]
    with pytest.raises(AttributeError, match="no attribute 'Unknown'"):
        kadr.Unknown  # noqa: B018
