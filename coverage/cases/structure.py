"""Columns, unions and searches: what holds the steps together."""

from __future__ import annotations

from scipy.stats import loguniform
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - the next needs it
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler

from cases.case import Case
from cases.data import BOOLEANS, FLIGHTS, INTEGERS, NUMBERS, STRINGS
from cases.parts import gaps, hot, logistic, model, ordinal, scaled

CATEGORIES = ["carrier", "origin"]


def _columns(*parts, last=None, **options):
    return Pipeline(
        [
            ("columns", ColumnTransformer(list(parts), **options)),
            ("model", logistic() if last is None else last),
        ]
    )


def _positions(names):
    return [FLIGHTS.index(name) for name in names]


def _is_string(frame):
    return [name for name in frame.columns if name in CATEGORIES]


def _dense_hot():
    return make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )


def _pandas():
    """Pandas from the first step to the last, columns by name in the second."""
    first = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), NUMBERS),
            ("categories", SimpleImputer(strategy="most_frequent"), CATEGORIES),
        ],
        verbose_feature_names_out=False,
    )
    second = ColumnTransformer(
        [
            ("scale", StandardScaler(), ["dep_delay", "temp"]),
            ("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORIES),
        ],
        remainder="passthrough",
    )
    return Pipeline([("fill", first), ("encode", second), ("model", logistic())]).set_output(
        transform="pandas"
    )


def _nested():
    inner = ColumnTransformer(
        [
            ("scale", scaled(), ["dep_delay", "temp"]),
            ("range", make_pipeline(SimpleImputer(), MinMaxScaler()), ["humid", "pressure"]),
        ],
        remainder=SimpleImputer(),
    )
    return _columns(("numbers", inner, NUMBERS), ("categories", hot(), CATEGORIES))


def _union():
    union = FeatureUnion(
        [
            ("scaled", StandardScaler()),
            ("reduced", make_pipeline(StandardScaler(), PCA(3, random_state=0))),
            ("best", SelectKBest(k=2)),
        ]
    )
    return _columns(
        ("numbers", make_pipeline(SimpleImputer(), union), NUMBERS),
        ("categories", hot(), CATEGORIES),
    )


def _union_around():
    """A union whose members choose their own columns of the frame."""
    return Pipeline(
        [
            (
                "union",
                FeatureUnion(
                    [
                        ("numbers", ColumnTransformer([("scaled", scaled(), NUMBERS)])),
                        ("categories", ColumnTransformer([("hot", hot(), CATEGORIES)])),
                    ]
                ),
            ),
            ("model", logistic()),
        ]
    )


def _union_weights():
    union = FeatureUnion(
        [("scaled", StandardScaler()), ("ranged", MinMaxScaler())],
        transformer_weights={"ranged": 0.5},
    )
    return _columns(("numbers", make_pipeline(SimpleImputer(), union), NUMBERS))


def _c():
    return {"model__C": [0.1, 1.0]}


def _case(name, what, build, target="late", data="flights"):
    return Case(f"structure/{name}", what, build, data=data, target=target)


CASES = (
    _case(
        "names",
        "ColumnTransformer, columns by name",
        lambda: _columns(("numbers", scaled(), NUMBERS), ("categories", hot(), STRINGS)),
    ),
    _case(
        "positions",
        "ColumnTransformer, columns by position",
        lambda: _columns(
            ("numbers", scaled(), _positions(NUMBERS)),
            ("categories", hot(), _positions(CATEGORIES)),
        ),
    ),
    _case(
        "slices",
        "ColumnTransformer, columns by a slice of names",
        lambda: _columns(
            ("numbers", scaled(), slice("dep_delay", "year_built")),
            ("categories", hot(), slice("carrier", "origin")),
        ),
    ),
    _case(
        "mask",
        "ColumnTransformer, columns by a mask",
        lambda: _columns(
            ("numbers", scaled(), [name in NUMBERS for name in FLIGHTS]),
            ("categories", hot(), [name in CATEGORIES for name in FLIGHTS]),
        ),
    ),
    _case(
        "selector",
        "make_column_selector(dtype_include=...)",
        lambda: _columns(
            ("numbers", scaled(), make_column_selector(dtype_include="number")),
            ("categories", hot(), make_column_selector(dtype_exclude=["number", "bool"])),
        ),
    ),
    _case(
        "selector-pattern",
        "make_column_selector(pattern=...)",
        lambda: _columns(
            ("numbers", scaled(), make_column_selector(pattern="^(temp|humid|dep_)")),
            ("categories", hot(), CATEGORIES),
        ),
    ),
    _case(
        "callable",
        "ColumnTransformer, columns by a function",
        lambda: _columns(("numbers", scaled(), NUMBERS), ("categories", hot(), _is_string)),
    ),
    _case(
        "single",
        "a column by its name alone, another by a list of one",
        lambda: _columns(
            ("text", TfidfVectorizer(), "carrier"), ("numbers", scaled(), ["dep_delay"])
        ),
    ),
    _case(
        "remainder-drop",
        'remainder="drop", columns that nothing uses',
        lambda: _columns(("numbers", scaled(), ["dep_delay", "temp"])),
    ),
    _case(
        "remainder-passthrough",
        'remainder="passthrough", integers and booleans in it',
        lambda: _columns(
            ("numbers", scaled(), NUMBERS), ("categories", hot(), STRINGS), remainder="passthrough"
        ),
    ),
    _case(
        "remainder-estimator",
        "remainder=SimpleImputer()",
        lambda: _columns(("categories", hot(), STRINGS), remainder=make_pipeline(SimpleImputer())),
    ),
    _case(
        "passthrough-integers",
        '"passthrough" of integers and booleans into a forest',
        lambda: _columns(
            ("whole", "passthrough", [*INTEGERS, *BOOLEANS]),
            ("numbers", SimpleImputer(), NUMBERS),
            last=RandomForestClassifier(10, random_state=0),
        ),
    ),
    _case(
        "drop",
        '"drop" for a part of the columns',
        lambda: _columns(
            ("numbers", scaled(), NUMBERS),
            ("none", "drop", STRINGS),
            remainder="passthrough",
        ),
    ),
    _case(
        "twice",
        "one column in two branches",
        lambda: _columns(
            ("numbers", scaled(), [*NUMBERS, "month"]),
            ("months", OneHotEncoder(handle_unknown="ignore"), ["month", "origin"]),
        ),
    ),
    _case(
        "make",
        "make_column_transformer(...)",
        lambda: make_pipeline(
            make_column_transformer((scaled(), NUMBERS), (hot(), STRINGS)), logistic()
        ),
    ),
    _case(
        "names-short",
        "verbose_feature_names_out=False",
        lambda: _columns(
            ("numbers", scaled(), NUMBERS),
            ("categories", hot(), STRINGS),
            verbose_feature_names_out=False,
        ),
    ),
    _case(
        "sparse",
        "sparse_threshold=1.0",
        lambda: _columns(
            ("numbers", scaled(), NUMBERS), ("categories", hot(), STRINGS), sparse_threshold=1.0
        ),
    ),
    _case(
        "weights",
        "ColumnTransformer(transformer_weights=...)",
        lambda: _columns(
            ("numbers", scaled(), NUMBERS),
            ("categories", hot(), CATEGORIES),
            transformer_weights={"numbers": 0.5},
        ),
    ),
    _case("nested", "a ColumnTransformer in a ColumnTransformer", _nested),
    _case(
        "nested-pipelines",
        "a pipeline in a pipeline in a pipeline",
        lambda: make_pipeline(model(None)[:-1], Pipeline([("inner", make_pipeline(logistic()))])),
    ),
    _case(
        "skipped",
        'a step that is "passthrough"',
        lambda: Pipeline([model(None).steps[0], ("nothing", "passthrough"), ("model", logistic())]),
    ),
    _case("union", "FeatureUnion of scaled, reduced and selected numbers", _union),
    _case("union-columns", "FeatureUnion of ColumnTransformers", _union_around),
    _case("union-weights", "FeatureUnion(transformer_weights=...)", _union_weights),
    _case("pandas", 'set_output(transform="pandas"), columns by name in later steps', _pandas),
    _case(
        "pandas-selector",
        'set_output(transform="pandas"), a selector in a later step',
        lambda: Pipeline(
            [
                (
                    "fill",
                    ColumnTransformer(
                        [("codes", ordinal(), STRINGS), ("numbers", SimpleImputer(), NUMBERS)]
                    ),
                ),
                (
                    "scale",
                    ColumnTransformer(
                        [("scale", StandardScaler(), make_column_selector(pattern="^numbers"))],
                        remainder="passthrough",
                    ),
                ),
                ("model", logistic()),
            ]
        ).set_output(transform="pandas"),
    ),
    _case(
        "identity",
        "FunctionTransformer() that does nothing",
        lambda: _columns(
            ("numbers", make_pipeline(SimpleImputer(), FunctionTransformer()), NUMBERS),
            ("categories", hot(), CATEGORIES),
        ),
    ),
    _case(
        "bare",
        "no ColumnTransformer: numbers straight through the steps",
        lambda: make_pipeline(SimpleImputer(), StandardScaler(), logistic()),
        data="flights, numbers",
    ),
    _case(
        "bare-model",
        "no steps: HistGradientBoostingClassifier() on a frame",
        lambda: HistGradientBoostingClassifier(max_iter=15),
        data="flights, numbers",
    ),
    _case(
        "bare-integers",
        "no steps: LogisticRegression() on integers",
        lambda: LogisticRegression(max_iter=500),
        data="flights, integers",
    ),
    _case(
        "grid",
        "GridSearchCV around the pipeline",
        lambda: GridSearchCV(model(logistic()), _c(), cv=2),
    ),
    _case(
        "grid-steps",
        "GridSearchCV that chooses the model itself",
        lambda: GridSearchCV(
            model(logistic()),
            {"model": [logistic(), RandomForestClassifier(5, random_state=0)]},
            cv=2,
        ),
    ),
    _case(
        "grid-within",
        "GridSearchCV as the last step",
        lambda: model(GridSearchCV(logistic(), {"C": [0.1, 1.0]}, cv=2)),
    ),
    _case(
        "grid-number",
        "GridSearchCV around a regression",
        lambda: GridSearchCV(model(Ridge()), {"model__alpha": [0.1, 10.0]}, cv=2),
        "minutes",
    ),
    _case(
        "random",
        "RandomizedSearchCV around the pipeline",
        lambda: RandomizedSearchCV(
            model(logistic()), {"model__C": loguniform(0.01, 10)}, n_iter=2, cv=2, random_state=0
        ),
    ),
    _case(
        "random-within",
        "RandomizedSearchCV as the last step",
        lambda: gaps(
            RandomizedSearchCV(
                HistGradientBoostingClassifier(max_iter=10),
                {"learning_rate": [0.05, 0.1]},
                n_iter=2,
                cv=2,
                random_state=0,
            )
        ),
    ),
    _case(
        "halving",
        "HalvingGridSearchCV around the pipeline",
        lambda: HalvingGridSearchCV(
            model(logistic()), _c(), cv=2, random_state=0, min_resources=500
        ),
    ),
    _case(
        "halving-random",
        "HalvingRandomSearchCV as the last step",
        lambda: model(
            HalvingRandomSearchCV(
                logistic(), {"C": [0.1, 1.0]}, cv=2, random_state=0, min_resources=500
            )
        ),
    ),
)
