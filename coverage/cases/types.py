"""Types of columns: the same flights in the other dtypes that pandas has for them."""

from __future__ import annotations

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from cases.case import Case
from cases.data import BOOLEANS, INTEGERS, NUMBERS, STRINGS
from cases.parts import categories, gaps, logistic, model, scaled


def _histogram():
    return HistGradientBoostingClassifier(max_iter=30, random_state=0)


def _forest():
    return RandomForestClassifier(n_estimators=20, max_depth=8, random_state=0)


def _hour(frame):
    return frame.apply(lambda column: column.dt.hour)


def _weekday(frame):
    return frame.map(lambda day: day.weekday())


def _with(function):
    """The whole preparation, and beside it a function of the time."""
    own = make_pipeline(FunctionTransformer(function), SimpleImputer())
    pipeline = model(logistic())
    pipeline.named_steps["columns"].transformers.append(("time", own, ["time_hour"]))
    return pipeline


def _filled():
    """The one way in which scikit-learn takes pd.NA among texts."""
    return SimpleImputer(missing_values=pd.NA, strategy="constant", fill_value="missing")


def _ordinary(last, texts):
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numbers", scaled(), [*NUMBERS, *INTEGERS]),
                        ("categories", texts, STRINGS),
                        ("flags", "passthrough", BOOLEANS),
                    ]
                ),
            ),
            ("model", last),
        ]
    )


def _one_hot():
    return OneHotEncoder(handle_unknown="ignore", max_categories=6)


def _na(last):
    """The whole preparation for texts with pd.NA."""
    return _ordinary(last, make_pipeline(_filled(), _one_hot()))


def _na_gaps():
    texts = make_pipeline(
        SimpleImputer(missing_values=pd.NA, strategy="most_frequent"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    )
    columns = ColumnTransformer([("texts", texts, STRINGS)], remainder="passthrough")
    # In an array scikit-learn takes no pd.NA.
    columns.set_output(transform="pandas")
    return Pipeline([("columns", columns), ("model", _histogram())])


def _plain():
    """Encoders without an imputer, so that a missing text is a category."""
    return _ordinary(logistic(), _one_hot())


def _whole_categories():
    """Numbers that are encoded, as they are in their small dtypes."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return categories(encoder, columns=["month", "hour"])


CASES = (
    Case("types/nullable", "Float64, Int64, string, boolean", lambda: _na(logistic()),
         data="flights, nullable"),
    Case("types/nullable-gaps", "Float64, Int64, string, boolean → HistGradientBoostingClassifier",
         _na_gaps, data="flights, nullable"),
    Case("types/nullable-forest", "Float64, Int64, string, boolean → RandomForestClassifier",
         lambda: _na(_forest()), data="flights, nullable"),
    Case("types/arrow", "double, int64, large_string, bool of pyarrow", lambda: _na(logistic()),
         data="flights, arrow"),
    Case("types/arrow-gaps", "double, int64 ... of pyarrow → HistGradientBoostingClassifier",
         _na_gaps, data="flights, arrow"),
    Case("types/arrow-forest", "double, int64 ... of pyarrow → RandomForestClassifier",
         lambda: _na(_forest()), data="flights, arrow"),
    Case("types/float32", "float32 beside int64", lambda: model(logistic()),
         data="flights, float32"),
    Case("types/float32-forest", "float32 → RandomForestClassifier",
         lambda: model(_forest()), data="flights, float32"),
    Case("types/float32-gaps", "float32 → HistGradientBoostingClassifier",
         lambda: gaps(_histogram()), data="flights, float32"),
    Case("types/single", "float32, int16, uint8 → Ridge", lambda: model(Ridge()),
         data="flights, single", target="minutes", float32=True),
    Case("types/small", "Int16, uint8", lambda: model(logistic()), data="flights, small"),
    Case("types/small-encoded", "Int16 → OrdinalEncoder", _whole_categories,
         data="flights, small"),
    Case("types/objects", "objects: float, int, str, bool, None", lambda: model(logistic()),
         data="flights, objects"),
    Case("types/decimals", "objects: decimal.Decimal", lambda: model(logistic()),
         data="flights, decimals"),
    Case("types/arrow-decimals", "decimal128 of pyarrow", lambda: model(logistic()),
         data="flights, arrow decimals"),
    Case("types/categories", "category → OneHotEncoder", lambda: model(logistic()),
         data="flights, categories"),
    Case("types/categories-gaps",
         'category → HistGradientBoostingClassifier(categorical_features="from_dtype")',
         lambda: make_pipeline(_histogram()), data="flights, categories"),
    Case("types/dictionaries", "dictionary of pyarrow → OneHotEncoder",
         lambda: _na(logistic()), data="flights, dictionaries"),
    Case("types/strings", "string[pyarrow] → OneHotEncoder",
         lambda: _na(logistic()), data="flights, strings"),
    Case("types/nan", "objects: a carrier called nan beside missing ones", _plain,
         data="flights, nan"),
    Case("types/times-dropped", "datetime64[us], dropped", lambda: model(logistic()),
         data="flights, times"),
    Case("types/times-hour", "datetime64[us] → FunctionTransformer(.dt.hour)",
         lambda: _with(_hour), data="flights, times"),
    Case("types/zoned-hour", "datetime64[ns, America/New_York] → FunctionTransformer(.dt.hour)",
         lambda: _with(_hour), data="flights, zoned"),
    Case("types/arrow-times-hour", "timestamp[ms, tz] of pyarrow → FunctionTransformer(.dt.hour)",
         lambda: _with(_hour), data="flights, arrow times"),
    Case("types/dates-weekday", "objects: datetime.date → FunctionTransformer(.weekday())",
         lambda: _with(_weekday), data="flights, dates"),
)  # fmt: skip
