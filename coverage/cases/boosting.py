"""Boosting: scikit-learn's three kinds."""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from cases.case import Case
from cases.data import STRINGS
from cases.parts import dense, gaps, model


def _gradient(kind, **options):
    return kind(**{"n_estimators": 20, "random_state": 0, **options})


def _hist(kind, **options):
    return kind(**{"max_iter": 20, "random_state": 0, **options})


def _coded(last):
    """Ordinal codes that the boosting takes for categories; what is unknown becomes missing."""
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=float("nan"), max_categories=50
    )
    columns = ColumnTransformer([("categories", encoder, STRINGS)], remainder="passthrough")
    return Pipeline([("columns", columns), ("model", last)])


def _frames(last):
    """The same, by dtype: the encoder's names tell which columns are categories."""
    whole = _coded(last)
    whole.steps[0][1].set_output(transform="pandas")
    return whole


def _case(name, what, build, target="late"):
    return Case(f"boosting/{name}", what, build, target=target)


H, HR = HistGradientBoostingClassifier, HistGradientBoostingRegressor
G, GR = GradientBoostingClassifier, GradientBoostingRegressor
CODES = [0, 1, 2]

CASES = (
    _case("gradient", "GradientBoostingClassifier()", lambda: model(_gradient(G))),
    _case(
        "gradient-classes",
        "GradientBoostingClassifier(), three classes",
        lambda: model(_gradient(G)),
        "band",
    ),
    _case(
        "gradient-exponential",
        'GradientBoostingClassifier(loss="exponential")',
        lambda: model(_gradient(G, loss="exponential")),
    ),
    _case(
        "gradient-subsample",
        'GradientBoostingClassifier(subsample=0.5, max_features="sqrt", n_iter_no_change=3)',
        lambda: model(_gradient(G, subsample=0.5, max_features="sqrt", n_iter_no_change=3)),
    ),
    _case(
        "gradient-init-zero",
        'GradientBoostingClassifier(init="zero")',
        lambda: model(_gradient(G, init="zero")),
    ),
    _case(
        "gradient-init",
        "GradientBoostingClassifier(init=LogisticRegression())",
        lambda: model(_gradient(G, init=LogisticRegression(max_iter=500))),
    ),
    _case(
        "gradient-number",
        "GradientBoostingRegressor()",
        lambda: model(_gradient(GR)),
        "minutes",
    ),
    _case(
        "gradient-number-init",
        "GradientBoostingRegressor(init=Ridge())",
        lambda: dense(_gradient(GR, init=Ridge())),
        "minutes",
    ),
    *(
        _case(
            f"gradient-number-{loss}",
            f'GradientBoostingRegressor(loss="{loss}")',
            lambda loss=loss: model(_gradient(GR, loss=loss)),
            "minutes",
        )
        for loss in ("absolute_error", "huber", "quantile")
    ),
    _case("hist", "HistGradientBoostingClassifier()", lambda: dense(_hist(H))),
    _case(
        "hist-gaps",
        "HistGradientBoostingClassifier() on missing values",
        lambda: gaps(_hist(H)),
    ),
    _case(
        "hist-classes",
        "HistGradientBoostingClassifier() on missing values, three classes",
        lambda: gaps(_hist(H)),
        "band",
    ),
    _case(
        "hist-categories",
        "HistGradientBoostingClassifier(categorical_features=[...])",
        lambda: _coded(_hist(H, categorical_features=CODES)),
    ),
    _case(
        "hist-categories-classes",
        "HistGradientBoostingClassifier(categorical_features=[...]), three classes",
        lambda: _coded(_hist(H, categorical_features=CODES)),
        "band",
    ),
    _case(
        "hist-categories-mask",
        "HistGradientBoostingClassifier(categorical_features=a mask)",
        lambda: _coded(_hist(H, categorical_features=[i < 3 for i in range(12)])),
    ),
    _case(
        "hist-categories-names",
        "HistGradientBoostingClassifier(categorical_features=names), pandas between the steps",
        lambda: _frames(_hist(H, categorical_features=[f"categories__{name}" for name in STRINGS])),
    ),
    _case(
        "hist-early",
        "HistGradientBoostingClassifier(early_stopping=True, l2_regularization=1, max_bins=64)",
        lambda: gaps(_hist(H, early_stopping=True, l2_regularization=1.0, max_bins=64)),
    ),
    _case(
        "hist-constraints",
        "HistGradientBoostingClassifier(monotonic_cst=..., interaction_cst='pairwise')",
        lambda: gaps(_hist(H, monotonic_cst=[0] * 3 + [1] + [0] * 8, interaction_cst="pairwise")),
    ),
    _case(
        "hist-number",
        "HistGradientBoostingRegressor() on missing values",
        lambda: gaps(_hist(HR)),
        "minutes",
    ),
    _case(
        "hist-number-categories",
        "HistGradientBoostingRegressor(categorical_features=[...])",
        lambda: _coded(_hist(HR, categorical_features=CODES)),
        "minutes",
    ),
    *(
        _case(
            f"hist-number-{loss}",
            f'HistGradientBoostingRegressor(loss="{loss}")',
            lambda loss=loss: gaps(_hist(HR, loss=loss)),
            "air time",
        )
        for loss in ("absolute_error", "poisson", "gamma")
    ),
    _case(
        "hist-number-quantile",
        'HistGradientBoostingRegressor(loss="quantile", quantile=0.9)',
        lambda: gaps(_hist(HR, loss="quantile", quantile=0.9)),
        "minutes",
    ),
    _case(
        "ada",
        "AdaBoostClassifier()",
        lambda: model(AdaBoostClassifier(n_estimators=20, random_state=0)),
    ),
    _case(
        "ada-classes",
        "AdaBoostClassifier(DecisionTreeClassifier(max_depth=3)), three classes",
        lambda: model(
            AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=20, random_state=0)
        ),
        "band",
    ),
    _case(
        "ada-logistic",
        "AdaBoostClassifier(LogisticRegression())",
        lambda: model(
            AdaBoostClassifier(LogisticRegression(max_iter=200), n_estimators=5, random_state=0)
        ),
    ),
    _case(
        "ada-number",
        "AdaBoostRegressor()",
        lambda: model(AdaBoostRegressor(n_estimators=20, random_state=0)),
        "minutes",
    ),
    _case(
        "ada-number-square",
        'AdaBoostRegressor(DecisionTreeRegressor(max_depth=6), loss="square")',
        lambda: model(
            AdaBoostRegressor(
                DecisionTreeRegressor(max_depth=6),
                n_estimators=10,
                loss="square",
                random_state=0,
            )
        ),
        "minutes",
    ),
)
