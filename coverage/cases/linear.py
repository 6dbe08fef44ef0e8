"""Linear models."""

from __future__ import annotations

from sklearn import linear_model as lm
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline

from cases.case import Case
from cases.data import BILLS
from cases.parts import dense, few, hot, model, scaled


def _two(name, what, make):
    return Case(f"linear/{name}", what, lambda: model(make()))


def _three(name, what, make):
    return Case(f"linear/{name}", what, lambda: model(make()), target="band")


def _number(name, what, make, *, target="minutes", shape=dense):
    return Case(f"linear/{name}", what, lambda: shape(make()), target=target)


def _penguins():
    columns = ColumnTransformer([("bills", scaled(), BILLS), ("rest", hot(), ["island", "sex"])])
    return make_pipeline(columns, lm.LogisticRegression(max_iter=500))


def _sgd(**options):
    return lm.SGDClassifier(random_state=0, max_iter=300, **options)


CASES = (
    _two("logistic", "LogisticRegression()", lambda: lm.LogisticRegression(max_iter=500)),
    Case(
        "linear/logistic-numbers",
        "LogisticRegression(), labels 0 and 1",
        lambda: model(lm.LogisticRegression(max_iter=500)),
        target="late01",
    ),
    Case(
        "linear/logistic-booleans",
        "LogisticRegression(), labels False and True",
        lambda: model(lm.LogisticRegression(max_iter=500)),
        target="late?",
    ),
    _three(
        "logistic-classes",
        "LogisticRegression(), three classes",
        lambda: lm.LogisticRegression(max_iter=500),
    ),
    Case(
        "linear/logistic-penguins",
        "LogisticRegression(), penguins",
        _penguins,
        data="penguins",
        target="species",
    ),
    _two(
        "logistic-l1",
        'LogisticRegression(penalty="l1", solver="liblinear")',
        lambda: lm.LogisticRegression(l1_ratio=1.0, solver="liblinear"),
    ),
    _three(
        "logistic-elastic",
        'LogisticRegression(penalty="elasticnet", solver="saga")',
        lambda: lm.LogisticRegression(l1_ratio=0.5, solver="saga", max_iter=50, random_state=0),
    ),
    _two(
        "logistic-balanced",
        'LogisticRegression(class_weight="balanced", fit_intercept=False)',
        lambda: lm.LogisticRegression(class_weight="balanced", fit_intercept=False, max_iter=500),
    ),
    _two(
        "logistic-cv",
        "LogisticRegressionCV()",
        lambda: lm.LogisticRegressionCV(Cs=3, cv=3, max_iter=300),
    ),
    _two("ridge-classifier", "RidgeClassifier()", lm.RidgeClassifier),
    _three("ridge-classes", "RidgeClassifier(), three classes", lm.RidgeClassifier),
    _two("ridge-classifier-cv", "RidgeClassifierCV()", lm.RidgeClassifierCV),
    _two("sgd-hinge", "SGDClassifier()", _sgd),
    _two("sgd-log", 'SGDClassifier(loss="log_loss")', lambda: _sgd(loss="log_loss")),
    _three(
        "sgd-log-classes",
        'SGDClassifier(loss="log_loss"), three classes',
        lambda: _sgd(loss="log_loss"),
    ),
    _two(
        "sgd-huber",
        'SGDClassifier(loss="modified_huber")',
        lambda: _sgd(loss="modified_huber"),
    ),
    _three(
        "sgd-huber-classes",
        'SGDClassifier(loss="modified_huber"), three classes',
        lambda: _sgd(loss="modified_huber", average=True),
    ),
    _two("perceptron", "Perceptron()", lambda: lm.Perceptron(random_state=0)),
    _two(
        "passive-aggressive",
        "PassiveAggressiveClassifier()",
        lambda: lm.PassiveAggressiveClassifier(random_state=0),
    ),
    _number("regression", "LinearRegression()", lm.LinearRegression),
    _number(
        "regression-positive",
        "LinearRegression(positive=True)",
        lambda: lm.LinearRegression(positive=True),
    ),
    _number("ridge", "Ridge()", lm.Ridge, shape=model),
    _number("ridge-cv", "RidgeCV()", lm.RidgeCV),
    _number("lasso", "Lasso(0.1)", lambda: lm.Lasso(0.1)),
    _number("lasso-cv", "LassoCV()", lambda: lm.LassoCV(cv=3)),
    _number("elastic", "ElasticNet(0.1)", lambda: lm.ElasticNet(0.1)),
    _number("elastic-cv", "ElasticNetCV()", lambda: lm.ElasticNetCV(cv=3)),
    _number("lars", "Lars(n_nonzero_coefs=5)", lambda: lm.Lars(n_nonzero_coefs=5)),
    _number("lars-cv", "LarsCV()", lambda: lm.LarsCV(cv=3)),
    _number("lasso-lars", "LassoLars(0.01)", lambda: lm.LassoLars(0.01)),
    _number("lasso-lars-cv", "LassoLarsCV()", lambda: lm.LassoLarsCV(cv=3)),
    _number("lasso-lars-ic", "LassoLarsIC()", lambda: lm.LassoLarsIC(noise_variance=100.0)),
    _number(
        "omp",
        "OrthogonalMatchingPursuit()",
        lambda: lm.OrthogonalMatchingPursuit(n_nonzero_coefs=5),
    ),
    _number(
        "omp-cv", "OrthogonalMatchingPursuitCV()", lambda: lm.OrthogonalMatchingPursuitCV(cv=3)
    ),
    _number("bayesian", "BayesianRidge()", lm.BayesianRidge),
    _number("ard", "ARDRegression()", lm.ARDRegression),
    _number("huber", "HuberRegressor()", lambda: lm.HuberRegressor(max_iter=500)),
    _number(
        "theil-sen",
        "TheilSenRegressor()",
        lambda: lm.TheilSenRegressor(random_state=0, max_subpopulation=200, max_iter=50),
        shape=few,
    ),
    _number("ransac", "RANSACRegressor()", lambda: lm.RANSACRegressor(random_state=0)),
    _number(
        "quantile",
        "QuantileRegressor(quantile=0.8)",
        lambda: lm.QuantileRegressor(quantile=0.8, alpha=0.01),
        shape=few,
    ),
    _number("poisson", "PoissonRegressor()", lm.PoissonRegressor, target="air time"),
    _number("gamma", "GammaRegressor()", lm.GammaRegressor, target="air time"),
    _number(
        "tweedie",
        "TweedieRegressor(power=1.5)",
        lambda: lm.TweedieRegressor(power=1.5),
        target="air time",
    ),
    _number("tweedie-normal", "TweedieRegressor()", lm.TweedieRegressor),
    _number("sgd-number", "SGDRegressor()", lambda: lm.SGDRegressor(random_state=0)),
    _number(
        "sgd-epsilon",
        'SGDRegressor(loss="epsilon_insensitive", penalty="elasticnet")',
        lambda: lm.SGDRegressor(loss="epsilon_insensitive", penalty="elasticnet", random_state=0),
    ),
    _number(
        "passive-aggressive-number",
        "PassiveAggressiveRegressor()",
        lambda: lm.PassiveAggressiveRegressor(random_state=0),
    ),
    _number("ridge-two", "Ridge(), two outputs", lm.Ridge, target="both"),
    _number(
        "multi-lasso",
        "MultiTaskLasso(), two outputs",
        lambda: lm.MultiTaskLasso(0.1),
        target="both",
    ),
    _number(
        "multi-elastic",
        "MultiTaskElasticNet(), two outputs",
        lambda: lm.MultiTaskElasticNet(0.1),
        target="both",
    ),
    _number("pls", "PLSRegression(3)", lambda: PLSRegression(3)),
    _number("pls-two", "PLSRegression(3), two outputs", lambda: PLSRegression(3), target="both"),
    _number(
        "kernel-ridge",
        'KernelRidge(kernel="rbf")',
        lambda: KernelRidge(kernel="rbf", gamma=0.1),
        shape=few,
    ),
)
