"""Networks, naive Bayes, discriminants."""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OrdinalEncoder

from cases.case import Case
from cases.parts import dense, few, logistic, model


def _network(kind, **options):
    return kind(**{"hidden_layer_sizes": (16,), "max_iter": 20, "random_state": 0, **options})


def _reduced():
    whole = dense(logistic())
    return Pipeline(
        [whole.steps[0], ("reduce", LinearDiscriminantAnalysis(n_components=2)), whole.steps[1]]
    )


def _category_counts():
    columns = ColumnTransformer(
        [
            (
                "codes",
                OrdinalEncoder(
                    handle_unknown="use_encoded_value",
                    unknown_value=50,
                    encoded_missing_value=51,
                ),
                ["carrier", "origin", "manufacturer"],
            )
        ]
    )
    return Pipeline([("columns", columns), ("model", CategoricalNB(min_categories=52))])


def _case(name, what, build, target="late"):
    return Case(f"bayes/{name}", what, build, target=target)


CASES = (
    _case("mlp", "MLPClassifier()", lambda: model(_network(MLPClassifier))),
    _case(
        "mlp-classes",
        "MLPClassifier(hidden_layer_sizes=(16, 8)), three classes",
        lambda: model(_network(MLPClassifier, hidden_layer_sizes=(16, 8))),
        "band",
    ),
    *(
        _case(
            f"mlp-{activation}",
            f'MLPClassifier(activation="{activation}")',
            lambda activation=activation: model(_network(MLPClassifier, activation=activation)),
        )
        for activation in ("tanh", "logistic", "identity")
    ),
    _case("mlp-number", "MLPRegressor()", lambda: model(_network(MLPRegressor)), "minutes"),
    _case(
        "mlp-number-two",
        "MLPRegressor(), two outputs",
        lambda: model(_network(MLPRegressor)),
        "both",
    ),
    _case("gaussian", "GaussianNB()", lambda: dense(GaussianNB())),
    _case(
        "gaussian-classes",
        "GaussianNB(), three classes",
        lambda: dense(GaussianNB(var_smoothing=1e-6)),
        "band",
    ),
    _case(
        "multinomial",
        "MultinomialNB() behind MinMaxScaler(clip=True)",
        lambda: dense(MultinomialNB(), MinMaxScaler(clip=True)),
    ),
    _case(
        "complement",
        "ComplementNB() behind MinMaxScaler(clip=True), three classes",
        lambda: dense(ComplementNB(), MinMaxScaler(clip=True)),
        "band",
    ),
    _case("bernoulli", "BernoulliNB()", lambda: dense(BernoulliNB())),
    _case("categorical", "CategoricalNB() behind OrdinalEncoder", _category_counts),
    _case("lda", "LinearDiscriminantAnalysis()", lambda: few(LinearDiscriminantAnalysis())),
    _case(
        "lda-classes",
        "LinearDiscriminantAnalysis(), three classes",
        lambda: few(LinearDiscriminantAnalysis()),
        "band",
    ),
    _case(
        "lda-shrinkage",
        'LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")',
        lambda: dense(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
    ),
    _case("lda-reduce", "LinearDiscriminantAnalysis() as a transformer", _reduced, "band"),
    _case(
        "qda",
        "QuadraticDiscriminantAnalysis(reg_param=0.1)",
        lambda: few(QuadraticDiscriminantAnalysis(reg_param=0.1)),
    ),
    _case(
        "qda-classes",
        "QuadraticDiscriminantAnalysis(reg_param=0.1), three classes",
        lambda: few(QuadraticDiscriminantAnalysis(reg_param=0.1)),
        "band",
    ),
)
