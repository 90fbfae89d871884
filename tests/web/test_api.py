"""Tests of the routes: search, images, annotation, health and metrics."""

import asyncio
import io
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

MakeService = Callable[..., Service]
IMAGE_ID, CAPTION = "red dog 000.jpg", "red dog number0"


def image_ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [match["image_id"] for match in response.json()["matches"]]


def encode_image(colour: str = "red", size: tuple[int, int] = (40, 30), image_format: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, image_format)
    return content.getvalue()


def use_searcher(service: Service, searcher: Searcher) -> None:
    service.hot_reload.current = replace(service.hot_reload.current, searcher=searcher)


def test_search_returns_the_results_of_the_searcher(client: TestClient, searcher: Searcher) -> None:
    response = client.post("/search", json={"text": "blue sea", "k": 5})
    expected = searcher.search("blue sea", 5)
    assert image_ids(response) == [match.image_id for match in expected]
    first = response.json()["matches"][0]
    assert first["relevance"] == pytest.approx(expected[0].relevance)
    assert (first["name"], first["width"], first["height"]) == (first["image_id"], 240, 120)
    assert first["path"] == f"{first['folder']}/{first['name']}"


def test_pages_add_up_to_the_complete_result(client: TestClient) -> None:
    expected = image_ids(client.post("/search", json={"text": "dog", "k": 60}))
    pages = [client.post("/search", json={"text": "dog", "k": 25, "offset": offset}) for offset in (0, 25, 50)]
    assert [image_id for page in pages for image_id in image_ids(page)] == expected
    assert [page.json()["more"] for page in pages] == [True, True, False]


def test_terms_and_a_text_expression_give_the_same_results(client: TestClient) -> None:
    terms = [{"text": "dog"}, {"text": "red", "weight": -0.5}, {"image_id": IMAGE_ID}]
    by_terms = client.post("/search", json={"terms": terms, "k": 7})
    by_text = client.post("/search", json={"text": f"dog - 0.5 * red + photo:{IMAGE_ID}", "k": 7})
    assert image_ids(by_terms) == image_ids(by_text)


@pytest.mark.parametrize(("min_side", "n_matches"), [(120, 60), (121, 0)])
def test_filters_apply(client: TestClient, min_side: int, n_matches: int) -> None:
    response = client.post("/search", json={"text": "dog", "filters": {"min_side": min_side}, "k": 60})
    assert len(image_ids(response)) == n_matches


def test_similar_accepts_an_indexed_image_and_an_upload(client: TestClient) -> None:
    by_id = client.post("/similar", data={"image_id": IMAGE_ID, "k": 3})
    assert image_ids(by_id)[0].startswith("red dog")
    by_upload = client.post("/similar", files={"image": ("x.png", encode_image("blue"))}, data={"k": 10})
    assert {image_id.split()[0] for image_id in image_ids(by_upload)} == {"blue"}


def test_similar_combines_an_upload_with_a_text_and_filters(client: TestClient) -> None:
    data = {"text": "cat", "filters": '{"name": "*cat*"}', "sort": "name", "k": "50"}
    response = client.post("/similar", files={"image": ("x.png", encode_image("blue"))}, data=data)
    assert image_ids(response) == sorted(image_ids(response))
    assert {image_id.split()[1] for image_id in image_ids(response)} == {"cat"}
    terms = '[{"text": "blue", "weight": -1}, {"image_id": "red dog 000.jpg", "weight": 2}]'
    with_terms = client.post("/similar", files={"image": ("x.png", encode_image("blue"))}, data={"terms": terms})
    assert image_ids(with_terms)[0].startswith("red dog")
    refused = client.post("/similar", data={"image_id": IMAGE_ID, "filters": '{"nam": "cat"}'})
    assert (refused.status_code, refused.json()["detail"].split(":")[0]) == (422, "filters.nam")


def test_a_request_without_a_query_browses(client: TestClient) -> None:
    pages = [client.post("/search", json={"filters": {"name": "dog"}, "k": 12, "offset": n}) for n in (0, 12)]
    found = [image_id for page in pages for image_id in image_ids(page)]
    assert found == sorted(found)  # no image has a date, so the images are sorted by ID
    assert len(found) == len(set(found)) == 21
    assert [(page.json()["more"], page.json()["n_images"]) for page in pages] == [(True, 21), (False, 21)]
    assert {(match["score"], match["relevance"]) for match in pages[0].json()["matches"]} == {(None, None)}
    by_name = client.post("/search", json={"sort": "name", "k": 1, "offset": 59}).json()
    assert [match["name"] for match in by_name["matches"]] == ["red sea 051.jpg"]


@pytest.mark.parametrize("text", ["собака в снегу", "雪地里的狗", "كلب في الثلج", "🐕", "!!!", "a dog " * 500])
def test_any_text_gets_an_answer(client: TestClient, text: str) -> None:
    response = client.post("/search", json={"text": text, "k": 3})
    assert response.status_code == 200
    assert len(image_ids(response)) == 3


def test_the_answer_says_how_the_text_was_read(client: TestClient) -> None:
    answer = client.post("/search", json={"text": "собака – снег", "k": 1}).json()
    assert (answer["read_as"], answer["hints"]) == ("собака - снег", [])
    answer = client.post("/search", json={"text": "dog-people", "k": 1}).json()
    assert answer["read_as"] is None
    assert answer["hints"] == [
        "The dash in 'dog-people' is part of the text. To subtract a text, put a space before the dash."
    ]


def test_a_query_can_be_sorted_by_name(client: TestClient) -> None:
    body = {"text": "dog", "filters": {"min_cosine": 0.2}, "k": 60}
    best, by_name = (client.post("/search", json=body | {"sort": sort}) for sort in ("relevance", "name"))
    assert image_ids(by_name) == sorted(image_ids(best))
    assert all(match["score"] >= 0.2 for match in by_name.json()["matches"])
    assert 0 < len(image_ids(best)) < by_name.json()["n_images"] == 60


def test_facets_count_the_images(client: TestClient) -> None:
    facets = client.post("/facets", json={"filters": {"name": "red*"}}).json()
    assert (facets["n_images"], facets["n_undated"], facets["n_with_place"]) == (20, 20, 0)
    (folder,) = facets["folders"]
    assert folder["count"] == 20
    assert client.post("/search", json={"filters": {"folder": folder["value"]}}).json()["n_images"] == 60
    assert client.post("/facets", json={}).json()["n_images"] == 60
    assert client.post("/facets", json={"filters": {"colour": "mauve"}}).status_code == 422


def test_score_is_higher_for_the_matching_text(client: TestClient) -> None:
    matching, other = (
        client.post("/score", files={"image": encode_image("green")}, data={"text": text}).json()["relevance"]
        for text in ("green", "blue")
    )
    assert matching == pytest.approx(1)
    assert other < 0.9


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "dog", "k": 0}, "k: "),
        ({"text": "dog", "offset": -1}, "offset: "),
        ({"filters": {"near": {"latitude": 91, "longitude": 0, "km": 1}}}, "filters.near.latitude: "),
        ({"sort": "best"}, "sort: "),
        ({"text": "dog", "page": 2}, "page: "),
        ({"text": "dog", "filters": {"after": "yesterday"}}, "filters.after: "),
        ({"terms": [{"text": "dog", "image_id": IMAGE_ID}]}, "terms.0: "),
    ],
)
def test_an_invalid_field_is_named(client: TestClient, body: object, field: str) -> None:
    response = client.post("/search", json=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(field)


@pytest.mark.parametrize(
    "body",
    [
        {"text": "dog +"},
        {"text": "dog", "offset": 100_000},
        {"sort": "relevance"},
        {"filters": {"min_cosine": 0.2}},
        {"terms": [{"image_id": "none.jpg"}]},
        {"text": "dog", "filters": {"colour": "mauve"}},
    ],
)
def test_an_invalid_query_gets_the_message_of_the_searcher(client: TestClient, body: object) -> None:
    response = client.post("/search", json=body)
    assert response.status_code == 422
    assert isinstance(response.json()["detail"], str)


@pytest.mark.parametrize(("data", "status"), [({}, 422), ({"image_id": "none.jpg"}, 404)])
def test_similar_needs_an_existing_image(client: TestClient, data: dict[str, str], status: int) -> None:
    response = client.post("/similar", data=data)
    assert response.status_code == status
    assert "image" in response.json()["detail"]


def test_similar_rejects_an_id_with_an_upload(client: TestClient) -> None:
    response = client.post("/similar", data={"image_id": IMAGE_ID}, files={"image": encode_image()})
    assert response.status_code == 422


def test_images_thumbnails_and_metadata_of_an_indexed_image(client: TestClient) -> None:
    full = client.get(f"/images/{IMAGE_ID}")
    assert (full.headers["content-type"], full.headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
    assert Image.open(io.BytesIO(full.content)).size == (160, 120)
    metadata = client.get(f"/metadata/{IMAGE_ID}").json()
    assert (metadata["width"], metadata["split"], metadata["name"]) == (160, "train", IMAGE_ID)
    assert client.get(f"/thumbnails/{IMAGE_ID}", params={"side": 5000}).status_code == 422


@pytest.fixture
def client_and_path(
    make_service: MakeService, make_index: Callable[..., Index], tmp_path: Path
) -> tuple[TestClient, Path]:
    """A test client for an index of four images, and the file path of the image `IMAGE_ID`."""
    service = make_service()
    use_searcher(service, replace(service.searcher, index=make_index(tmp_path / "images", 4)))
    return TestClient(create_app(service), base_url="http://localhost"), tmp_path / "images" / IMAGE_ID


@pytest.mark.parametrize("side", [320, 640])
def test_a_thumbnail_has_the_requested_side(client_and_path: tuple[TestClient, Path], side: int) -> None:
    client, path = client_and_path
    Image.new("RGB", (2000, 1000)).save(path)
    thumbnail = client.get(f"/thumbnails/{IMAGE_ID}", params={"side": side})
    assert Image.open(io.BytesIO(thumbnail.content)).size == (side, side // 2)


@pytest.mark.parametrize(
    ("image_format", "media_type"), [("PNG", "image/png"), ("WEBP", "image/webp"), ("TIFF", "image/jpeg")]
)
def test_formats_that_browsers_cannot_display_become_jpeg(
    client_and_path: tuple[TestClient, Path], image_format: str, media_type: str
) -> None:
    client, path = client_and_path
    path.write_bytes(encode_image("green", image_format=image_format))
    response = client.get(f"/images/{IMAGE_ID}")
    assert response.headers["content-type"] == media_type
    assert Image.open(io.BytesIO(response.content)).size == (40, 30)


@pytest.mark.parametrize("route", ["images", "thumbnails"])
@pytest.mark.parametrize("content", [None, b"not an image"])
def test_a_missing_or_damaged_file_is_not_found(
    client_and_path: tuple[TestClient, Path], route: str, content: bytes | None
) -> None:
    client, path = client_and_path
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert client.get(f"/{route}/{IMAGE_ID}").status_code == 404


@pytest.mark.parametrize("route", ["images", "thumbnails", "metadata"])
@pytest.mark.parametrize(
    "image_id", ["none.jpg", "../conftest.py", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "..%5c..%5cx"]
)
def test_a_path_is_not_an_image_id(client: TestClient, route: str, image_id: str) -> None:
    assert client.get(f"/{route}/{image_id}").status_code == 404


def test_a_broken_encoder_is_a_server_error(make_service: MakeService) -> None:
    class BrokenEncoder:
        def transform(self, texts: list[str]) -> None:
            raise EncoderError("The weights are missing. Run `dvc repro`.")

    service = make_service()
    use_searcher(service, replace(service.searcher, encoders={"clip": BrokenEncoder()}))
    with TestClient(create_app(service), base_url="http://localhost") as client:
        response = client.post("/search", json={"text": "dog"})
    assert (response.status_code, response.json()["detail"]) == (503, "The weights are missing. Run `dvc repro`.")


def test_the_page_loads_nothing_from_other_hosts(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text
    for name in ("main.js", "annotate.js", "style.css", "icon.svg"):
        assert client.get(f"/static/{name}").status_code == 200
    assert client.get("/static/../app.py").status_code == 404


def test_health_describes_the_index(client: TestClient) -> None:
    health = client.get("/health").json()
    assert (health["n_images"], health["encoder"]) == (60, "clip")
    assert (health["up_to_date"], health["n_failed_reloads"], health["annotation_error"]) == (True, 0, None)


def test_metrics_count_requests_by_route(client: TestClient) -> None:
    client.post("/search", json={"text": "dog"})
    client.get("/no/such/route")
    metrics = client.get("/metrics").text
    assert 'kadr_requests_total{method="POST",route="/search",status="200"} 1.0' in metrics
    assert 'route="none",status="404"} 1.0' in metrics
    assert "kadr_images 60.0" in metrics


def test_a_rated_pair_is_not_offered_again(client: TestClient) -> None:
    pairs = client.get("/annotation/pairs", params={"rater": "ann", "text": CAPTION, "k": 3}).json()["pairs"]
    assert pairs[0].items() >= {"image_id": IMAGE_ID, "text": CAPTION, "width": 160, "height": 120}.items()
    rating = {"image_id": IMAGE_ID, "text": CAPTION, "rater": "ann", "rating": 4}
    assert client.post("/annotation/ratings", json=rating).json() == {"n_ratings": 1, "n_by_rater": 1}
    next_pairs = client.get("/annotation/pairs", params={"rater": "ann", "text": CAPTION}).json()
    assert IMAGE_ID not in [pair["image_id"] for pair in next_pairs["pairs"]]
    assert next_pairs["n_ratings"] == 1


@pytest.mark.parametrize(
    "change", [{"rating": 5}, {"rater": " "}, {"rater": "a\nb"}, {"text": ""}, {"image_id": "red dog 003.jpg"}]
)
def test_an_invalid_rating_is_rejected(client: TestClient, change: dict[str, object]) -> None:
    rating = {"image_id": IMAGE_ID, "text": CAPTION, "rater": "ann", "rating": 4} | change
    assert client.post("/annotation/ratings", json=rating).status_code == 422
    assert client.get("/annotation/pairs", params={"rater": "ann"}).json()["n_ratings"] == 0


def test_concurrent_searches_get_their_own_results(make_service: MakeService, searcher: Searcher) -> None:
    app = create_app(make_service())
    texts = [f"dog number{number}" for number in range(40)]

    async def search_concurrently() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            bodies = [{"terms": [{"image_id": "none.jpg"}]}, *({"text": text, "k": 1} for text in texts)]
            return list(await asyncio.gather(*(client.post("/search", json=body) for body in bodies)))

    invalid, *responses = asyncio.run(search_concurrently())
    assert invalid.status_code == 422
    assert [image_ids(response) for response in responses] == [[searcher.search(text, 1)[0].image_id] for text in texts]
