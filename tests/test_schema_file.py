"""schema.toml: scaffolded, read back, and held against the signature."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack import schema_file
from mlpack.errors import InputError
from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.schema import Constraint, Schema


def signature(*columns: Column) -> Signature:
    return Signature(
        task="regression",
        columns=columns,
        outputs=(Output(name="value", type="number"),),
        target="price",
    )


PENGUINS = signature(
    Column(name="island", type="string", dtype="str", categories=("Biscoe", "Dream")),
    Column(name="mass", type="number", dtype="float64", minimum=2.7, maximum=6.3, missing=0.01),
    Column(name="year", type="integer", dtype="int64", minimum=2007, maximum=2009, nullable=False),
    Column(name="ringed", type="boolean", dtype="bool", categories=(False, True)),
    Column(name='a "b".c', type="string", dtype="str"),
)


def uncommented(text: str) -> str:
    """The scaffold with every demand made, as an author would do it."""
    return re.sub(r"(?m)^# (?=(required|min|max|categories) =)", "", text)


def test_the_scaffold_demands_nothing():
    text = schema_file.scaffold(PENGUINS)
    assert schema_file.parse(text) == Schema()
    lines = text.splitlines()
    assert all(line.startswith(("#", "[columns.", "format = 1")) or not line for line in lines)


def test_the_scaffold_says_what_was_seen():
    text = schema_file.scaffold(PENGUINS)
    assert "# observed: number, 2.7 to 6.3, 1.0% missing" in text
    assert '# observed: string: "Biscoe", "Dream"' in text
    assert "; the model requires it" in text
    assert '[columns."a \\"b\\".c"]' in text


def test_the_scaffold_uncommented_demands_what_was_seen():
    schema = schema_file.parse(uncommented(schema_file.scaffold(PENGUINS)))
    schema_file.check(schema, PENGUINS)
    assert schema.columns == {
        "island": Constraint(required=True, categories=("Biscoe", "Dream")),
        "mass": Constraint(required=True, minimum=2.7, maximum=6.3),
        "year": Constraint(minimum=2007, maximum=2009),
        "ringed": Constraint(required=True),
        'a "b".c': Constraint(required=True),
    }


_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(
    st.lists(
        st.tuples(
            _NAMES,
            st.lists(_NAMES, min_size=1, max_size=4, unique=True),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=4,
        unique_by=lambda column: column[0],
    )
)
def test_every_name_and_category_survives_the_file(columns):
    texts = [
        Column(name=name, type="string", dtype="str", categories=tuple(values))
        for name, values, _ in columns
    ]
    seen = signature(*texts)
    schema = schema_file.parse(uncommented(schema_file.scaffold(seen)))
    assert schema.columns == {
        column.name: Constraint(required=True, categories=column.categories) for column in texts
    }
    numbers = [
        Column(name=name, type="number", dtype="float64", minimum=number, maximum=number)
        for name, _, number in columns
    ]
    schema = schema_file.parse(uncommented(schema_file.scaffold(signature(*numbers))))
    assert [schema.columns[column.name].minimum for column in numbers] == [
        column.minimum for column in numbers
    ]


def test_everything_that_can_be_demanded():
    schema = schema_file.parse(
        'format = 1\n[columns.age]\ndescription = "in years"\nmin = 0\nmax = 120.5\n'
        'required = true\n[columns."zip code"]\npattern = "[0-9]{5}"\n[columns.n]\n'
        "categories = [1, 2]\n[columns.free]\n"
    )
    assert schema.columns == {
        "age": Constraint(required=True, minimum=0, maximum=120.5, description="in years"),
        "zip code": Constraint(pattern="[0-9]{5}"),
        "n": Constraint(categories=(1, 2)),
    }


@pytest.mark.parametrize(
    ("text", "where", "what", "hint"),
    [
        ("a = = 1", "schema.toml:1", "not valid TOML", None),
        ("format = 2", "schema.toml", "reads up to 1", "Use a newer mlpack."),
        ("format = true", "schema.toml", "format is a number", None),
        ("[column.age]\nmin = 1", "schema.toml", 'no key "column"', "Did you mean"),
        ("[age]\nmin = 1", "schema.toml:1", 'no key "age"', "Did you mean [columns.age]?"),
        ("min = 1", "schema.toml:1", 'no key "min"', None),
        ("columns = 1", "schema.toml", "is a table", None),
        ("[columns]\nage = 1", "schema.toml:2", "[columns.age] is a table", None),
        ("[columns.a]\nmin=1\n[columns.b]\nminn = 1", "schema.toml:4", '"minn"', "Did you mean"),
        ("[columns.a]\nmin = 3\nmax = 2", "schema.toml:2", "min = 3 is above max = 2", None),
        ('[columns.a]\nmin = "3"', "schema.toml:2", "is a number", None),
        ("[columns.a]\nmax = true", "schema.toml:2", "is a number", None),
        ("[columns.a]\nmax = nan", "schema.toml:2", "is a number", None),
        ("[columns.a]\nmax = inf", "schema.toml:2", "is a number", None),
        ("[columns.a]\nrequired = 1", "schema.toml:2", "is true or false", None),
        ("[columns.a]\npattern = '['", "schema.toml:2", "no regular expression", None),
        ("[columns.a]\npattern = 1", "schema.toml:2", "is a string", None),
        ("[columns.a]\ncategories = []", "schema.toml:2", "is a list", None),
        ("[columns.a]\ncategories = [[1]]", "schema.toml:2", "strings, numbers", None),
        ("[columns.a]\ncategories = [1, 2, 1]", "schema.toml:2", "twice", None),
        ("[columns.a]\ncategories = [1979-05-27]", "schema.toml:2", "strings, numbers", None),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(text, where, what, hint):
    with pytest.raises(InputError) as caught:
        schema_file.parse(text)
    assert caught.value.where == where
    assert what in caught.value.what
    assert hint is None or hint in caught.value.hint


def test_a_category_may_be_one_and_true():
    schema = schema_file.parse("[columns.a]\ncategories = [1, true]")
    assert schema.columns["a"].categories == (1, True)


@pytest.mark.parametrize(
    ("name", "constraint", "what"),
    [
        ("iland", Constraint(required=True), 'no column "iland"'),
        ("price", Constraint(required=True), "what the model predicts"),
        ("island", Constraint(minimum=1, violation="clip"), "nothing to clip"),
        ("mass", Constraint(violation="clip"), "nothing to clip"),
        ("mass", Constraint(violation="count", description="grams"), "nothing to count"),
        ("island", Constraint(minimum=1), "min and max are for numbers"),
        ("mass", Constraint(pattern="x"), "pattern is for strings"),
        ("island", Constraint(categories=("Biscoe", 1)), "category 1"),
        ("year", Constraint(categories=(2007.5,)), "category 2007.5"),
        ("year", Constraint(categories=("2007",)), 'category "2007"'),
        ("mass", Constraint(categories=(True,)), "category true"),
        ("ringed", Constraint(categories=(1,)), "category 1"),
        ("year", Constraint(categories=(2007, 2012), maximum=2010), "outside of min and max"),
    ],
)
def test_demands_that_contradict_the_signature_are_refused(name, constraint, what):
    with pytest.raises(InputError) as caught:
        schema_file.check(Schema(columns={name: constraint}), PENGUINS)
    assert what in caught.value.what
    assert f"[columns.{name}]" in caught.value.where


def test_a_category_may_be_a_bound():
    years = Constraint(categories=(2007, 2009), minimum=2007, maximum=2009)
    schema_file.check(Schema(columns={"year": years}), PENGUINS)


def test_reading_a_file_compares_it_with_the_signature(tmp_path):
    path = tmp_path / "schema.toml"
    path.write_text("[columns.iland]\nrequired = true\n")
    assert schema_file.read(path).columns
    with pytest.raises(InputError) as caught:
        schema_file.read(path, PENGUINS)
    assert caught.value.hint == 'Did you mean "island"?'
    path.write_bytes(b"\xff\xfe\x81")
    with pytest.raises(InputError, match="not UTF-8"):
        schema_file.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        schema_file.read(tmp_path / "gone.toml")


def test_what_becomes_of_a_value_that_fails():
    schema = schema_file.parse(
        'unknown-columns = "ignore"\n'
        '[columns.age]\nmin = 0\non-violation = "clip"\n'
        '[columns.plan]\npattern = "x"\non-violation = "count"\n'
    )
    assert schema.unknown_columns == "ignore"
    assert (schema.columns["age"].violation, schema.columns["plan"].violation) == ("clip", "count")
    assert schema_file.parse("").unknown_columns == "refuse"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('unknown-columns = "drop"', 'unknown-columns is "refuse" or "ignore"'),
        ('[columns.age]\non-violation = "warn"', "is one of refuse, count, clip"),
        ('[columns.age]\non-violation = ["count"]', "is one of refuse, count, clip"),
        ("unknown-column = 1", 'there is no key "unknown-column"'),
    ],
)
def test_no_other_word_for_it(text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        schema_file.parse(text)
