"""The user's own code, in pipelines."""

from __future__ import annotations

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from cases.case import Case
from cases.data import BOOLEANS, INTEGERS, NUMBERS, STRINGS
from cases.own_code import (
    Clipper,
    Columns,
    Dense,
    Doubled,
    Groups,
    Looped,
    Means,
    around_the_clock,
    assigned,
    bent,
    binned,
    chosen,
    cut_by_number,
    cyclic,
    engineered,
    filled_rows,
    first_words,
    grouped_carriers,
    has_airbus,
    haversine,
    hour_angle,
    in_place,
    late_or_not,
    log_sizes,
    lower_carriers,
    made_anew,
    masked,
    parts_of_day,
    per_row,
    per_row_frame,
    powers,
    ratios,
    seasons,
    side_by_side,
    single_precision,
    stays_single,
    tabled,
    uses_a_branch,
    uses_a_loop,
    uses_the_others,
    weighed,
)
from cases.parts import hot, logistic

NUMERIC = [*NUMBERS, *INTEGERS]
EVERY = [*NUMBERS, *INTEGERS, *STRINGS, *BOOLEANS]


def _numbers(function, last=None, **options):
    """A function of an array of filled numbers, scaled after."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        (
                            "numbers",
                            make_pipeline(
                                SimpleImputer(strategy="median"),
                                FunctionTransformer(function, **options),
                                StandardScaler(),
                            ),
                            NUMERIC,
                        ),
                        ("categories", hot(), ["carrier", "origin"]),
                    ]
                ),
            ),
            ("model", logistic() if last is None else last),
        ]
    )


def _gaps(function):
    """A function of numbers with gaps, before they are filled."""
    return make_pipeline(
        ColumnTransformer([("numbers", FunctionTransformer(function), NUMERIC)]),
        SimpleImputer(),
        StandardScaler(),
        logistic(),
    )


def _frame(function, last=None):
    """A function of the whole data frame, as the first step."""
    return make_pipeline(
        FunctionTransformer(function),
        SimpleImputer(),
        StandardScaler(),
        logistic() if last is None else last,
    )


def _before(function, numbers=NUMBERS, categories=("carrier", "origin")):
    """A function of the whole data frame, and a column transformer behind it, by name."""
    return make_pipeline(
        FunctionTransformer(function),
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(numbers)),
                (
                    "categories",
                    make_pipeline(
                        SimpleImputer(strategy="most_frequent"),
                        OneHotEncoder(handle_unknown="ignore"),
                    ),
                    list(categories),
                ),
            ]
        ),
        logistic(),
    )


def _chosen_columns():
    return make_pipeline(
        FeatureUnion(
            [
                ("numbers", make_pipeline(Columns(NUMERIC), SimpleImputer(), StandardScaler())),
                ("hot", make_pipeline(Columns(["carrier", "origin"]), hot())),
            ]
        ),
        logistic(),
    )


def _named():
    first = ColumnTransformer(
        [("numbers", SimpleImputer(), NUMBERS), ("whole", "passthrough", INTEGERS)],
        verbose_feature_names_out=False,
    )
    second = FunctionTransformer(lambda df: df.assign(felt=df["temp"] * df["humid"] / 100))
    return make_pipeline(first, second, StandardScaler(), logistic()).set_output(transform="pandas")


def _branch(step, columns=None):
    return make_pipeline(
        ColumnTransformer([("own", step, columns or NUMERIC)]),
        SimpleImputer(),
        StandardScaler(),
        logistic(),
    )


def _case(name, what, build, target="late", data="flights"):
    return Case(f"code/{name}", what, build, data=data, target=target)


CASES = (
    _case(
        "log1p", "FunctionTransformer(np.log1p), its array function", lambda: _numbers(log_sizes)
    ),
    _case(
        "ufunc",
        "FunctionTransformer(np.cbrt, feature_names_out=...)",
        lambda: _numbers(np.cbrt, feature_names_out="one-to-one"),
    ),
    _case("powers", "numpy: squares, roots, powers", lambda: _numbers(powers)),
    _case("ratios", "numpy: ratio of two columns by list", lambda: _numbers(ratios)),
    _case(
        "columns-beside", "numpy: np.c_ of products and differences", lambda: _numbers(side_by_side)
    ),
    _case("cyclic", "numpy: sine and cosine of the hour", lambda: _numbers(hour_angle)),
    _case("in-place", "numpy: a copy changed in place", lambda: _numbers(in_place)),
    _case("masked", "numpy: rows set where a mask holds", lambda: _numbers(masked)),
    _case("digitize", "numpy: np.digitize, np.floor", lambda: _numbers(binned)),
    _case("select", "numpy: np.select, np.where", lambda: _numbers(chosen)),
    _case("per-row", "numpy: mean, deviation, range and norm of a row", lambda: _numbers(per_row)),
    _case("nan", "numpy: np.isnan, np.nanmean(axis=1), np.where", lambda: _gaps(filled_rows)),
    _case(
        "nan-to-num",
        "numpy: np.nan_to_num, np.maximum",
        lambda: _gaps(
            lambda rows: np.maximum(np.nan_to_num(np.asarray(rows, dtype=float), nan=-1.0), -10)
        ),
    ),
    _case("interp", "numpy: np.interp", lambda: _numbers(bent)),
    _case("float32", "numpy: astype(np.float32) on the way", lambda: _numbers(single_precision)),
    _case(
        "float32-tree",
        "numpy: astype(np.float32) before GradientBoostingClassifier",
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    (
                        "own",
                        make_pipeline(SimpleImputer(), FunctionTransformer(stays_single)),
                        NUMERIC,
                    )
                ]
            ),
            GradientBoostingClassifier(n_estimators=15, random_state=0),
        ),
    ),
    _case("whole", "numpy: astype(int), %, //", lambda: _numbers(around_the_clock)),
    _case(
        "options",
        "FunctionTransformer(kw_args=...): a product with weights",
        lambda: _numbers(
            weighed, kw_args={"weights": np.linspace(-1, 1, 24).reshape(8, 3), "offset": 2.0}
        ),
    ),
    _case(
        "validate", "FunctionTransformer(validate=True)", lambda: _numbers(log_sizes, validate=True)
    ),
    _case("haversine", "numpy: a distance on the globe", lambda: _numbers(haversine)),
    _case(
        "tree",
        "numpy: log before GradientBoostingClassifier",
        lambda: _numbers(log_sizes, GradientBoostingClassifier(n_estimators=20, random_state=0)),
    ),
    _case("frame", "pandas: new columns, drop, loc with a condition", lambda: _frame(engineered)),
    _case("assign", "pandas: assign, clip, isin", lambda: _frame(assigned)),
    _case("new-frame", "pandas: pd.DataFrame of new columns", lambda: _frame(made_anew)),
    _case("frame-cyclic", "pandas: a loop over column names", lambda: _frame(cyclic)),
    _case("tables", "pandas: map, fillna by column, pd.concat", lambda: _frame(tabled)),
    _case("rows-frame", "pandas: sum, max and mean of a row", lambda: _frame(per_row_frame)),
    _case("cut", "pandas: pd.cut(labels=False)", lambda: _frame(cut_by_number)),
    _case(
        "frame-gaps",
        "pandas: new columns before HistGradientBoostingClassifier",
        lambda: make_pipeline(
            FunctionTransformer(engineered), HistGradientBoostingClassifier(max_iter=15)
        ),
    ),
    _case(
        "frame-number",
        "pandas: new columns before Ridge()",
        lambda: _frame(made_anew, Ridge()),
        "minutes",
    ),
    _case(
        "carriers",
        "pandas: categories grouped by map, then OneHotEncoder",
        lambda: _before(grouped_carriers),
    ),
    _case(
        "seasons",
        "pandas: a month's season by map, then OneHotEncoder",
        lambda: _before(seasons, categories=["season", "origin"]),
    ),
    _case(
        "parts-of-day",
        "pandas: pd.cut with names, then OneHotEncoder",
        lambda: _before(parts_of_day, categories=["part", "origin"]),
    ),
    _case(
        "states",
        "np.where of two texts, then OneHotEncoder",
        lambda: _before(late_or_not, categories=["state", "origin"]),
    ),
    _case(
        "lower",
        "pandas: .str.lower().str.strip(), then OneHotEncoder",
        lambda: _before(lower_carriers),
    ),
    _case(
        "first-words",
        "pandas: .str.split().str[0], then OneHotEncoder",
        lambda: _before(first_words, categories=["manufacturer", "origin"]),
    ),
    _case("contains", "pandas: .str.contains, .str.startswith", lambda: _frame(has_airbus)),
    _case("named", 'set_output(transform="pandas"), columns by name in a function', _named),
    _case(
        "class",
        "own transformer: quantiles learned in fit, check_array",
        lambda: _branch(Clipper()),
    ),
    _case(
        "class-pandas", "own transformer: means of pandas learned in fit", lambda: _branch(Means())
    ),
    _case(
        "class-groups",
        "own transformer: the mean of a group learned in fit",
        lambda: _branch(Groups(), ["carrier", "distance", "temp"]),
    ),
    _case(
        "class-columns", "own transformer that chooses columns, in a FeatureUnion", _chosen_columns
    ),
    _case(
        "class-dense",
        "own transformer that makes a sparse matrix dense",
        lambda: make_pipeline(
            ColumnTransformer([("hot", hot(), STRINGS)], sparse_threshold=1.0), Dense(), logistic()
        ),
    ),
    _case(
        "class-derived",
        "own class derived from StandardScaler",
        lambda: _branch(make_pipeline(SimpleImputer(), Doubled())),
    ),
    _case(
        "hook",
        "own transformer with __mlpack_export__",
        lambda: _branch(make_pipeline(SimpleImputer(), Looped())),
    ),
    _case("branch", "numpy: a branch on the first row", lambda: _numbers(uses_a_branch)),
    _case("loop", "numpy: a loop over rows", lambda: _numbers(uses_a_loop)),
    _case(
        "others", "numpy: scaled by the mean of the other rows", lambda: _numbers(uses_the_others)
    ),
)
