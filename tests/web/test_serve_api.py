"""The API: what each route answers, its refusals, its pictures, its figures."""

import asyncio
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image
from starlette.testclient import TestClient

from kadr.errors import EncoderError
from kadr.index import Index
from kadr.search import Searcher
from kadr.serve import Service, create_app
from kadr.serve.api_models import SearchRequest
from kadr.serve.batching import Batcher
from kadr.serve.limits import TimeLimit
from kadr.serve.service import to_query

MakeService = Callable[..., Service]
RED, WORDS = "red dog 000.jpg", "red dog number0"


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [match["image_id"] for match in answer.json()["matches"]]


def photo(colour: str = "red", size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, kind)
    return content.getvalue()


def test_search_finds_what_the_searcher_finds(client: TestClient, searcher: Searcher) -> None:
    answer = client.post("/search", json={"text": "blue sea", "k": 5})
    wanted = searcher.search("blue sea", 5)
    assert ids(answer) == [match.image_id for match in wanted]
    first = answer.json()["matches"][0]
    assert first["relevance"] == pytest.approx(wanted[0].relevance)
    assert (first["name"], first["width"], first["height"]) == (first["image_id"], 240, 120)
    assert "path" not in first


def test_pages_follow_one_another(client: TestClient) -> None:
    whole = ids(client.post("/search", json={"text": "dog", "k": 60}))
    pages = [client.post("/search", json={"text": "dog", "k": 25, "offset": at}) for at in (0, 25, 50)]
    assert [id_ for page in pages for id_ in ids(page)] == whole
    assert [page.json()["more"] for page in pages] == [True, True, False]


def test_terms_and_the_little_language_are_one(client: TestClient) -> None:
    terms = [{"text": "dog"}, {"text": "red", "weight": -0.5}, {"image_id": RED}]
    answer = client.post("/search", json={"terms": terms, "k": 7})
    assert ids(answer) == ids(client.post("/search", json={"text": f"dog - 0.5 * red + photo:{RED}", "k": 7}))
    found = ids(client.post("/search", json={"text": "dog", "filters": {"min_side": 130}, "k": 60}))
    assert found == []


def test_similar_to_a_photo_of_the_index_and_to_a_file(client: TestClient) -> None:
    assert ids(client.post("/similar", data={"image_id": RED, "k": 3}))[0].startswith("red dog")
    found = ids(client.post("/similar", files={"photo": ("x.png", photo("blue"))}, data={"k": 10}))
    assert {name.split()[0] for name in found} == {"blue"}


def test_score(client: TestClient) -> None:
    scores = [
        client.post("/score", files={"photo": photo("green")}, data={"text": text}).json()["relevance"]
        for text in ("green", "blue")
    ]
    assert scores[0] == pytest.approx(1)
    assert scores[1] < 0.9


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "the query is empty"),
        ({"text": "   "}, "the query is empty"),
        ({"text": "dog", "k": 0}, "k: Input should be greater than or equal to 1"),
        ({"text": "dog", "offset": 2001}, "offset: Input should be less than or equal to 2000"),
        ({"text": "dog", "page": 2}, "page: Extra inputs are not permitted"),
        ({"text": "dog +"}, "a + or - has no text behind it"),
        ({"terms": [{"text": "dog", "image_id": RED}]}, "either a text or an image_id"),
        ({"terms": [{"image_id": "none.jpg"}]}, "there is no photo 'none.jpg' in the index"),
        ({"text": "dog", "filters": {"colour": "mauve"}}, "the colour 'mauve' is unknown"),
        ({"text": "dog", "filters": {"after": "yesterday"}}, "filters.after: Input should be a valid date"),
    ],
)
def test_queries_that_cannot_be_asked(client: TestClient, body: object, told: str) -> None:
    answer = client.post("/search", json=body)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("data", [{}, {"image_id": "none.jpg"}])
def test_similar_to_nothing(client: TestClient, data: dict[str, str]) -> None:
    answer = client.post("/similar", data=data)
    assert answer.status_code == (404 if data else 422)
    assert answer.json()["detail"] in {"send either image_id or photo", "the index has no photo 'none.jpg'"}


def test_pictures(client: TestClient) -> None:
    whole = client.get(f"/photos/{RED}")
    assert (whole.headers["content-type"], whole.headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
    assert Image.open(io.BytesIO(whole.content)).size == (160, 120)
    small = client.get(f"/thumbnails/{RED}", params={"side": 320})
    assert Image.open(io.BytesIO(small.content)).size == (160, 120)
    assert client.get(f"/thumbnails/{RED}", params={"side": 5000}).status_code == 422
    facts = client.get(f"/facts/{RED}").json()
    assert (facts["width"], facts["split"], facts["name"]) == (160, "train", RED)


@pytest.mark.parametrize("route", ["photos", "thumbnails", "facts"])
@pytest.mark.parametrize(
    "id_", ["none.jpg", "../conftest.py", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "..%5c..%5cx"]
)
def test_no_path_reaches_the_disk(client: TestClient, route: str, id_: str) -> None:
    assert client.get(f"/{route}/{id_}").status_code == 404


def test_a_photo_whose_file_is_gone(make_service: MakeService, draw: Callable[..., Index], tmp_path: Path) -> None:
    index = draw(tmp_path / "photos", 4)
    service = make_service()
    service.live.loaded = replace(service.live.loaded, searcher=replace(service.searcher, index=index))
    (tmp_path / "photos" / RED).unlink()
    asking = TestClient(create_app(service), base_url="http://localhost")
    for route in ("photos", "thumbnails"):
        assert asking.get(f"/{route}/{RED}").status_code == 404


def test_an_encoder_that_is_missing_is_the_servers_fault(make_service: MakeService) -> None:
    class Broken:
        def transform(self, texts: list[str]) -> None:
            raise EncoderError("the CLIP is gone; run `dvc repro`")

    service = make_service()
    broken = replace(service.searcher, encoders={"clip": Broken()})
    service.live.loaded = replace(service.live.loaded, searcher=broken)
    with TestClient(create_app(service), base_url="http://localhost") as asking:
        answer = asking.post("/search", json={"text": "dog"})
    assert (answer.status_code, answer.json()["detail"]) == (503, "the CLIP is gone; run `dvc repro`")


def test_the_page_and_its_parts(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("/http", "")
    for name in ("main.js", "style.css", "icon.svg"):
        assert client.get(f"/static/{name}").status_code == 200
    assert client.get("/static/../app.py").status_code == 404


def test_health_and_figures(client: TestClient) -> None:
    health = client.get("/health").json()
    assert (health["n_photos"], health["encoder"], health["judging"]) == (60, "clip", None)
    client.post("/search", json={"text": "dog"})
    client.get("/never/heard/of")
    figures = client.get("/metrics").text
    assert 'kadr_requests_total{method="POST",route="/search",status="200"} 1.0' in figures
    assert 'route="none",status="404"} 1.0' in figures
    assert "kadr_photos 60.0" in figures


def test_judging_and_its_refusals(client: TestClient) -> None:
    pairs = client.get("/pairs", params={"rater": "ann", "text": WORDS, "k": 3}).json()["pairs"]
    assert pairs[0] == {"image_id": RED, "text": WORDS, "width": 160, "height": 120}
    rating = {"image_id": RED, "text": WORDS, "rater": "ann", "rating": 4}
    assert client.post("/ratings", json=rating).json() == {"n_rated": 1}
    again = client.get("/pairs", params={"rater": "ann", "text": WORDS}).json()["pairs"]
    assert RED not in [pair["image_id"] for pair in again]
    for change in ({"rating": 5}, {"rater": " "}, {"rater": "a\nb"}, {"text": ""}, {"image_id": "red dog 003.jpg"}):
        assert client.post("/ratings", json=rating | change).status_code == 422


def test_searches_at_the_same_time_share_a_pass(make_service: MakeService, searcher: Searcher) -> None:
    service = make_service()
    app = create_app(service)

    async def many() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as to,
        ):
            texts = [f"dog number{n}" for n in range(40)]
            bad = to.post("/search", json={"terms": [{"image_id": "none.jpg"}]})
            return list(await asyncio.gather(bad, *(to.post("/search", json={"text": text, "k": 1}) for text in texts)))

    bad, *answers = asyncio.run(many())
    assert bad.status_code == 422
    assert [ids(answer) for answer in answers] == [
        [searcher.search(f"dog number{n}", 1)[0].image_id] for n in range(40)
    ]


def test_a_batch_takes_all_who_wait_and_a_bad_one_spoils_no_other() -> None:
    batches: list[list[int]] = []

    def run(items: list[int]) -> list[int]:
        batches.append(list(items))
        if 3 in items:
            raise ValueError("three")
        return [item * item for item in items]

    async def ask() -> list[object]:
        batcher = Batcher(run)
        work = asyncio.create_task(batcher.work())
        answers = await asyncio.gather(*(batcher.ask(item) for item in range(6)), return_exceptions=True)
        work.cancel()
        return list(answers)

    *good, four, five = asyncio.run(ask())
    assert [*good[:3], four, five] == [0, 1, 4, 16, 25]
    assert isinstance(good[3], ValueError)
    assert batches == [[0, 1, 2, 3, 4, 5], [0], [1], [2], [3], [4], [5]]


def test_who_has_given_up_is_not_answered() -> None:
    batches: list[list[int]] = []

    async def ask() -> None:
        batcher = Batcher(lambda items: batches.append(list(items)) or list(items))
        given_up = asyncio.create_task(batcher.ask(1))
        await asyncio.sleep(0)
        given_up.cancel()
        work = asyncio.create_task(batcher.work())
        assert await batcher.ask(2) == 2
        work.cancel()

    asyncio.run(ask())
    assert batches == [[2]]


def test_a_request_that_takes_too_long() -> None:
    async def never(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(60)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(TimeLimit(never, 0.01))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as to:
            return await to.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["detail"]) == (504, "no answer within 0.01 s; ask for less, or later")


def test_the_requests_of_the_page_on_serving(project: Path) -> None:
    shown = re.findall(r"/search .*--json '(.*)'", (project / "docs" / "serve.md").read_text(encoding="utf-8"))
    assert len(shown) == 3
    for body in shown:
        assert to_query(SearchRequest.model_validate_json(body)).terms
