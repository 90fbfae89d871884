"""Tests of the query syntax: signs, weights, quotes and image IDs, and how a query was read."""

import pytest

from kadr.errors import SearchError
from kadr.search import Term, explain_query, parse_query
from kadr.search.query_syntax import format_terms

DOG_WITHOUT_PEOPLE = [(1, "dog"), (-1, "people")]


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("a dog in the snow", [(1, "a dog in the snow")]),
        ("dog + snow - people", [(1, "dog"), (1, "snow"), (-1, "people")]),
        ("- people + dog", [(-1, "people"), (1, "dog")]),
        ("a t-shirt, 2 + 3* red", [(1, "a t-shirt, 2"), (3, "red")]),
        ('"salt + pepper" - 0.5 * "2 * two"', [(1, "salt + pepper"), (-0.5, "2 * two")]),
        ("собака + .5*снег", [(1, "собака"), (0.5, "снег")]),
        ("rock 'n' roll - live", [(1, "rock 'n' roll"), (-1, "live")]),
        ("2×snow + dog", [(2, "snow"), (1, "dog")]),
    ],
)
def test_signs_between_spaces_separate_terms(query: str, terms: list) -> None:
    assert [(term.weight, term.text) for term in parse_query(query).terms] == terms


@pytest.mark.parametrize("dash", ["-", "–", "—", "−", "－", "--"])
@pytest.mark.parametrize("query", ["dog {} people", "dog {}people", "dog\N{NO-BREAK SPACE}{} people", "{}people dog"])
def test_every_dash_subtracts(query: str, dash: str) -> None:
    assert [(term.weight, term.text) for term in parse_query(query.format(dash)).terms] == DOG_WITHOUT_PEOPLE


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("dog +snow", [(1, "dog"), (1, "snow")]),
        ("a dog -people in the snow", [(1, "a dog in the snow"), (-1, "people")]),
        ("dog -people, -cars", [(1, "dog"), (-1, "people"), (-1, "cars")]),
        ('dog -"two people" +snow', [(1, "dog"), (-1, "two people"), (1, "snow")]),
        ("dog -(two people)", [(1, "dog"), (-1, "two people")]),
        ("dog -0.5*people", [(1, "dog"), (-0.5, "people")]),
        ("dog - snow -people", [(1, "dog"), (-1, "snow"), (-1, "people")]),
        ("собака -люди", [(1, "собака"), (-1, "люди")]),
        ("C++ -minus", [(1, "C++"), (-1, "minus")]),
        ("dog + -people", DOG_WITHOUT_PEOPLE),
    ],
)
def test_a_sign_before_a_word_applies_to_this_word(query: str, terms: list) -> None:
    assert [(term.weight, term.text) for term in parse_query(query).terms] == terms


@pytest.mark.parametrize(
    "query",
    [
        "a t-shirt",
        "black-and-white",
        "-5 degrees",
        "snow at +20",
        "1-2 -3",
        "C++ book",
        "18+ party",
        "a :-) smile",
        "the dog -a poodle- runs",
        '6" pipe',
        "photo: of a dog",
    ],
)
def test_other_signs_are_part_of_the_text(query: str) -> None:
    assert parse_query(query).terms == (Term(1, text=query),)


@pytest.mark.parametrize("query", ['"dog - people"', "“dog - people”", "„dog - people“", "«dog - people»"])
def test_a_quoted_text_is_one_term(query: str) -> None:
    assert parse_query(query).terms == (Term(1, text="dog - people"),)


def test_inch_marks_are_not_quotes() -> None:
    assert [term.text for term in parse_query('6" pipe - 5" hose').terms] == ['6" pipe', '5" hose']


def test_image_ids_are_parsed() -> None:
    assert parse_query("snow - 2*photo:1.jpg").terms == (Term(1, text="snow"), Term(-2, image_id="1.jpg"))
    assert parse_query("snow -photo:1.jpg").terms == (Term(1, text="snow"), Term(-1, image_id="1.jpg"))
    assert parse_query('photo:"trip - 12.jpg"').terms == (Term(1, image_id="trip - 12.jpg"),)


@pytest.mark.parametrize("query", ["", "  ", "dog +", "dog + - cat", "+", '""', "0 * dog", "dog - 2*", "dog - -cat"])
def test_an_empty_query_or_term_is_an_error(query: str) -> None:
    with pytest.raises(SearchError):
        parse_query(query)


@pytest.mark.parametrize(
    ("query", "read_as"),
    [
        ("a dog in the snow", None),
        ('"a - b"', None),
        ("dog –people +snow", "dog - people + snow"),
        ("- 2 * people", "- 2*people"),
        ("“salt + pepper” - dog", '"salt + pepper" - dog'),
        ('snow + photo:"trip - 12.jpg"', 'snow + photo:"trip - 12.jpg"'),
    ],
)
def test_the_reading_of_several_terms_is_given(query: str, read_as: str | None) -> None:
    assert explain_query(query, parse_query(query).terms).read_as == read_as


@pytest.mark.parametrize("text", ["C++ -minus", "2*two", "dog – people", 'say "a - b"', "photo:x", "a dog"])
def test_a_reading_is_read_as_the_same_terms(text: str) -> None:
    terms = (Term(-1, text="snow"), Term(2, text=text), Term(-0.5, image_id=text))
    assert parse_query(format_terms(terms)).terms == terms


@pytest.mark.parametrize(
    ("query", "part"), [("dog- people", "'dog-'"), ("dog+snow", "'dog+snow'"), ("dog NOT people", "-people")]
)
def test_a_hint_names_the_part_that_is_read_as_text(query: str, part: str) -> None:
    (hint,) = explain_query(query, parse_query(query).terms).hints
    assert part in hint


@pytest.mark.parametrize("query", ["black- and-white", "t-shirt", "C++", '"dog- people"', "dog - people"])
def test_other_queries_have_no_hint(query: str) -> None:
    assert explain_query(query, parse_query(query).terms).hints == ()
