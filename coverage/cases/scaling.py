"""Scaling and transforming numbers."""

from __future__ import annotations

from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from cases.case import Case
from cases.data import INTEGERS
from cases.parts import filled, logistic, numbers

POSITIVE = ["temp", "humid", "pressure"]


def _bins(**options: object) -> KBinsDiscretizer:
    options = {"random_state": 0, "quantile_method": "averaged_inverted_cdf", **options}
    return KBinsDiscretizer(n_bins=5, **options)


CASES = (
    Case("scaling/standard", "StandardScaler()", lambda: filled(StandardScaler())),
    Case(
        "scaling/standard-no-mean",
        "StandardScaler(with_mean=False)",
        lambda: filled(StandardScaler(with_mean=False)),
    ),
    Case(
        "scaling/standard-no-std",
        "StandardScaler(with_std=False)",
        lambda: filled(StandardScaler(with_std=False), last=DecisionTreeClassifier(max_depth=6)),
    ),
    Case(
        "scaling/standard-nan",
        "StandardScaler() before the imputer",
        lambda: numbers(StandardScaler(), SimpleImputer()),
    ),
    Case(
        "scaling/standard-integers",
        "StandardScaler() on integers only",
        lambda: make_pipeline(StandardScaler(), logistic()),
        data="flights, integers",
    ),
    Case(
        "scaling/standard-mixed",
        "StandardScaler() on integers and numbers",
        lambda: filled(StandardScaler(), columns=["dep_delay", *INTEGERS]),
    ),
    Case("scaling/minmax", "MinMaxScaler()", lambda: filled(MinMaxScaler())),
    Case(
        "scaling/minmax-clip",
        "MinMaxScaler(feature_range=(-1, 1), clip=True)",
        lambda: filled(MinMaxScaler(feature_range=(-1, 1), clip=True)),
    ),
    Case("scaling/maxabs", "MaxAbsScaler()", lambda: filled(MaxAbsScaler())),
    Case("scaling/robust", "RobustScaler()", lambda: filled(RobustScaler())),
    Case(
        "scaling/robust-options",
        "RobustScaler(with_centering=False, quantile_range=(10, 90), unit_variance=True)",
        lambda: filled(
            RobustScaler(with_centering=False, quantile_range=(10.0, 90.0), unit_variance=True)
        ),
    ),
    Case("scaling/normalizer-l2", "Normalizer()", lambda: filled(StandardScaler(), Normalizer())),
    Case(
        "scaling/normalizer-l1",
        'Normalizer(norm="l1")',
        lambda: filled(StandardScaler(), Normalizer(norm="l1")),
    ),
    Case(
        "scaling/normalizer-max",
        'Normalizer(norm="max")',
        lambda: filled(StandardScaler(), Normalizer(norm="max")),
    ),
    Case("scaling/yeo-johnson", "PowerTransformer()", lambda: filled(PowerTransformer())),
    Case(
        "scaling/yeo-johnson-raw",
        "PowerTransformer(standardize=False)",
        lambda: filled(StandardScaler(), PowerTransformer(standardize=False)),
    ),
    Case(
        "scaling/box-cox",
        'PowerTransformer(method="box-cox")',
        lambda: filled(PowerTransformer(method="box-cox"), columns=POSITIVE),
    ),
    Case(
        "scaling/quantile-uniform",
        "QuantileTransformer()",
        lambda: filled(QuantileTransformer(n_quantiles=100, random_state=0)),
    ),
    Case(
        "scaling/quantile-normal",
        'QuantileTransformer(output_distribution="normal")',
        lambda: filled(
            QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
        ),
    ),
    Case(
        "scaling/quantile-nan",
        "QuantileTransformer() before the imputer",
        lambda: numbers(QuantileTransformer(n_quantiles=50, random_state=0), SimpleImputer()),
    ),
    Case("scaling/bins-onehot", "KBinsDiscretizer()", lambda: filled(_bins())),
    Case(
        "scaling/bins-dense",
        'KBinsDiscretizer(encode="onehot-dense", strategy="uniform")',
        lambda: filled(_bins(encode="onehot-dense", strategy="uniform")),
    ),
    Case(
        "scaling/bins-ordinal",
        'KBinsDiscretizer(encode="ordinal", strategy="quantile")',
        lambda: filled(_bins(encode="ordinal", strategy="quantile")),
    ),
    Case(
        "scaling/bins-kmeans",
        'KBinsDiscretizer(encode="ordinal", strategy="kmeans")',
        lambda: filled(_bins(encode="ordinal", strategy="kmeans")),
    ),
    Case(
        "scaling/polynomial",
        "PolynomialFeatures(2)",
        lambda: filled(StandardScaler(), PolynomialFeatures(2)),
    ),
    Case(
        "scaling/polynomial-interactions",
        "PolynomialFeatures(2, interaction_only=True, include_bias=False)",
        lambda: filled(
            StandardScaler(), PolynomialFeatures(2, interaction_only=True, include_bias=False)
        ),
    ),
    Case(
        "scaling/polynomial-cubic",
        "PolynomialFeatures(3), then Ridge",
        lambda: filled(
            StandardScaler(),
            PolynomialFeatures(3),
            last=Ridge(),
            columns=["dep_delay", "temp", "humid"],
        ),
        target="minutes",
    ),
    Case(
        "scaling/polynomial-raw",
        "PolynomialFeatures(2) before the scaler",
        lambda: filled(PolynomialFeatures(2), StandardScaler()),
    ),
    Case("scaling/spline", "SplineTransformer()", lambda: filled(SplineTransformer())),
    Case(
        "scaling/spline-linear",
        'SplineTransformer(degree=1, knots="quantile", extrapolation="linear")',
        lambda: filled(
            SplineTransformer(degree=1, knots="quantile", extrapolation="linear"),
            columns=["dep_delay", "temp", "humid"],
        ),
    ),
    Case(
        "scaling/spline-periodic",
        'SplineTransformer(extrapolation="periodic") on the hour',
        lambda: filled(SplineTransformer(extrapolation="periodic"), columns=["hour", "month"]),
    ),
    Case(
        "scaling/spline-continue",
        'SplineTransformer(extrapolation="continue", include_bias=False)',
        lambda: filled(
            StandardScaler(),
            SplineTransformer(extrapolation="continue", include_bias=False),
        ),
    ),
    Case(
        "scaling/binarizer",
        "Binarizer(threshold=10)",
        lambda: filled(Binarizer(threshold=10.0)),
    ),
    Case(
        "scaling/quantile-default",
        "QuantileTransformer(n_quantiles=1000) on integers and numbers",
        lambda: filled(
            QuantileTransformer(random_state=0), columns=["dep_delay", "temp", *INTEGERS]
        ),
    ),
    Case(
        "scaling/quantile-tree",
        'QuantileTransformer(output_distribution="normal"), then a tree',
        lambda: filled(
            QuantileTransformer(n_quantiles=200, output_distribution="normal", random_state=0),
            last=DecisionTreeClassifier(max_depth=8, random_state=0),
        ),
    ),
    Case(
        "scaling/spline-quadratic",
        'SplineTransformer(n_knots=8, degree=2, knots="quantile", sparse_output=True)',
        lambda: filled(
            SplineTransformer(n_knots=8, degree=2, knots="quantile", sparse_output=True),
            columns=["temp", "humid", "pressure"],
        ),
    ),
    Case(
        "scaling/spline-slope",
        'SplineTransformer(extrapolation="linear"), then Ridge',
        lambda: filled(StandardScaler(), SplineTransformer(extrapolation="linear"), last=Ridge()),
        target="minutes",
    ),
    Case(
        "scaling/spline-error",
        'SplineTransformer(extrapolation="error")',
        lambda: filled(SplineTransformer(extrapolation="error"), columns=["hour", "month"]),
    ),
    Case(
        "scaling/spline-gaps",
        'SplineTransformer(handle_missing="zeros")',
        lambda: numbers(SplineTransformer(handle_missing="zeros")),
    ),
    Case(
        "scaling/spline-tree",
        "SplineTransformer(), then a tree",
        lambda: filled(
            SplineTransformer(), last=DecisionTreeClassifier(max_depth=8, random_state=0)
        ),
    ),
    Case(
        "scaling/bins-average",
        'KBinsDiscretizer(strategy="quantile", quantile_method="linear")',
        lambda: filled(_bins(quantile_method="linear")),
    ),
)
