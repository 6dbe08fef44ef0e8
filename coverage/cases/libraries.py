"""XGBoost, LightGBM and CatBoost as the last step of a pipeline.

Each library is imported by the function that builds: it may not be installed.
"""

from __future__ import annotations

from importlib import import_module

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from cases.case import Case
from cases.data import STRINGS
from cases.parts import dense, gaps, model, ordinal


def _make(module, name, **options):
    return getattr(import_module(module), name)(**options)


def _xgb(name="XGBClassifier", **options):
    return _make("xgboost", name, **{"n_estimators": 15, "random_state": 0, "n_jobs": 1, **options})


def _lgbm(name="LGBMClassifier", **options):
    settings = {"n_estimators": 15, "random_state": 0, "n_jobs": 1, "verbose": -1, **options}
    return _make("lightgbm", name, **settings)


def _cat(name="CatBoostClassifier", **options):
    settings = {
        "iterations": 15,
        "random_seed": 0,
        "thread_count": 1,
        "verbose": False,
        "allow_writing_files": False,
        **options,
    }
    return _make("catboost", name, **settings)


def _with_strings(last):
    """Strings as they are, beside the numbers, in a frame: the library encodes them itself."""
    columns = ColumnTransformer(
        [
            ("categories", SimpleImputer(strategy="constant", fill_value="missing"), STRINGS),
        ],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return Pipeline([("columns", columns), ("model", last)])


def _coded_frame(last):
    """Codes of categories in a frame, so that the library can be told their names."""
    columns = ColumnTransformer(
        [("categories", ordinal(), STRINGS)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return Pipeline([("columns", columns), ("model", last)])


def _coded_plus(last):
    """Codes of categories that are never negative, in an array; what is unknown is missing."""
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=float("nan"), max_categories=50
    )
    columns = ColumnTransformer([("categories", encoder, STRINGS)], remainder="passthrough")
    return Pipeline([("columns", columns), ("model", last)])


def _xgboost(name, what, build, target="late01"):
    return Case(
        f"libraries/xgboost-{name}", what, build, target=target, needs="xgboost", float32=True
    )


def _lightgbm(name, what, build, target="late"):
    return Case(f"libraries/lightgbm-{name}", what, build, target=target, needs="lightgbm")


def _catboost(name, what, build, target="late"):
    return Case(f"libraries/catboost-{name}", what, build, target=target, needs="catboost")


CASES = (
    _xgboost("classifier", "XGBClassifier()", lambda: model(_xgb())),
    _xgboost("missing", "XGBClassifier() on missing values", lambda: gaps(_xgb())),
    _xgboost(
        "classes",
        "XGBClassifier() on missing values, three classes",
        lambda: gaps(_xgb()),
        "band012",
    ),
    _xgboost(
        "dart",
        'XGBClassifier(booster="dart", rate_drop=0.1)',
        lambda: gaps(_xgb(booster="dart", rate_drop=0.1)),
    ),
    _xgboost(
        "linear", 'XGBClassifier(booster="gblinear")', lambda: dense(_xgb(booster="gblinear"))
    ),
    _xgboost(
        "options",
        "XGBClassifier(subsample=0.8, colsample_bytree=0.8, base_score=0.3, scale_pos_weight=2)",
        lambda: gaps(_xgb(subsample=0.8, colsample_bytree=0.8, base_score=0.3, scale_pos_weight=2)),
    ),
    _xgboost(
        "marker",
        "XGBClassifier(missing=0)",
        lambda: dense(_xgb(missing=0.0)),
    ),
    _xgboost(
        "categories",
        "XGBClassifier(enable_categorical=True, feature_types=...)",
        lambda: _coded_plus(_xgb(enable_categorical=True, feature_types=["c"] * 3 + ["q"] * 9)),
    ),
    _xgboost(
        "forest",
        "XGBRFClassifier()",
        lambda: gaps(_xgb("XGBRFClassifier")),
    ),
    _xgboost(
        "number", "XGBRegressor() on missing values", lambda: gaps(_xgb("XGBRegressor")), "minutes"
    ),
    _xgboost(
        "poisson",
        'XGBRegressor(objective="count:poisson")',
        lambda: gaps(_xgb("XGBRegressor", objective="count:poisson")),
        "air time",
    ),
    _xgboost(
        "gamma",
        'XGBRegressor(objective="reg:gamma")',
        lambda: gaps(_xgb("XGBRegressor", objective="reg:gamma")),
        "air time",
    ),
    _xgboost(
        "tweedie",
        'XGBRegressor(objective="reg:tweedie")',
        lambda: gaps(_xgb("XGBRegressor", objective="reg:tweedie")),
        "air time",
    ),
    _xgboost(
        "absolute",
        'XGBRegressor(objective="reg:absoluteerror")',
        lambda: gaps(_xgb("XGBRegressor", objective="reg:absoluteerror")),
        "minutes",
    ),
    _xgboost("two", "XGBRegressor(), two outputs", lambda: gaps(_xgb("XGBRegressor")), "both"),
    _lightgbm("classifier", "LGBMClassifier()", lambda: model(_lgbm())),
    _lightgbm("missing", "LGBMClassifier() on missing values", lambda: gaps(_lgbm())),
    _lightgbm(
        "classes",
        "LGBMClassifier() on missing values, three classes",
        lambda: gaps(_lgbm()),
        "band",
    ),
    _lightgbm(
        "ova",
        'LGBMClassifier(objective="multiclassova"), three classes',
        lambda: gaps(_lgbm(objective="multiclassova")),
        "band",
    ),
    _lightgbm(
        "dart", 'LGBMClassifier(boosting_type="dart")', lambda: gaps(_lgbm(boosting_type="dart"))
    ),
    _lightgbm(
        "forest",
        'LGBMClassifier(boosting_type="rf")',
        lambda: gaps(_lgbm(boosting_type="rf", subsample=0.7, subsample_freq=1)),
    ),
    _lightgbm(
        "categories",
        "LGBMClassifier(categorical_feature=[...])",
        lambda: _coded_plus(_lgbm(categorical_feature=[0, 1, 2])),
    ),
    _lightgbm(
        "names",
        "LGBMClassifier() on a frame, pandas between the steps",
        lambda: _coded_frame(_lgbm()),
    ),
    _lightgbm(
        "zero",
        "LGBMClassifier(zero_as_missing=True)",
        lambda: gaps(_lgbm(zero_as_missing=True)),
    ),
    _lightgbm(
        "number",
        "LGBMRegressor() on missing values",
        lambda: gaps(_lgbm("LGBMRegressor")),
        "minutes",
    ),
    _lightgbm(
        "linear-trees",
        "LGBMRegressor(linear_tree=True)",
        lambda: gaps(_lgbm("LGBMRegressor", linear_tree=True)),
        "minutes",
    ),
    *(
        _lightgbm(
            objective.replace("_", "-"),
            f'LGBMRegressor(objective="{objective}")',
            lambda objective=objective: gaps(_lgbm("LGBMRegressor", objective=objective)),
            "air time",
        )
        for objective in (
            "poisson",
            "gamma",
            "tweedie",
            "regression_l1",
            "huber",
            "quantile",
            "mape",
        )
    ),
    _catboost("classifier", "CatBoostClassifier()", lambda: dense(_cat())),
    _catboost("missing", "CatBoostClassifier() on missing values", lambda: gaps(_cat())),
    _catboost(
        "classes",
        "CatBoostClassifier() on missing values, three classes",
        lambda: gaps(_cat()),
        "band",
    ),
    _catboost(
        "categories",
        "CatBoostClassifier(cat_features=[...]) on strings",
        lambda: _with_strings(_cat(cat_features=STRINGS)),
    ),
    _catboost(
        "one-hot",
        "CatBoostClassifier(cat_features=[...], one_hot_max_size=300) on strings",
        lambda: _with_strings(_cat(cat_features=STRINGS, one_hot_max_size=300)),
    ),
    _catboost(
        "depthwise",
        'CatBoostClassifier(grow_policy="Depthwise")',
        lambda: gaps(_cat(grow_policy="Depthwise")),
    ),
    _catboost(
        "number",
        "CatBoostRegressor() on missing values",
        lambda: gaps(_cat("CatBoostRegressor")),
        "minutes",
    ),
    _catboost(
        "poisson",
        'CatBoostRegressor(loss_function="Poisson")',
        lambda: gaps(_cat("CatBoostRegressor", loss_function="Poisson")),
        "air time",
    ),
    _catboost(
        "number-categories",
        "CatBoostRegressor(cat_features=[...]) on strings",
        lambda: _with_strings(_cat("CatBoostRegressor", cat_features=STRINGS)),
        "minutes",
    ),
)
