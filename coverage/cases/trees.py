"""Trees and forests, with and without missing values."""

from __future__ import annotations

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
)
from sklearn.pipeline import Pipeline
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from cases.case import Case
from cases.parts import dense, gaps, logistic, model


def _forest(kind, **options):
    return kind(**{"n_estimators": 20, "random_state": 0, **options})


def _embedded():
    whole = dense(logistic())
    step = RandomTreesEmbedding(n_estimators=10, max_depth=3, random_state=0)
    return Pipeline([whole.steps[0], ("embed", step), whole.steps[1]])


def _case(name, what, build, target="late"):
    return Case(f"trees/{name}", what, build, target=target)


CASES = (
    _case("tree", "DecisionTreeClassifier()", lambda: model(DecisionTreeClassifier())),
    _case(
        "tree-classes",
        "DecisionTreeClassifier(min_samples_leaf=5), three classes",
        lambda: model(DecisionTreeClassifier(min_samples_leaf=5, random_state=0)),
        "band",
    ),
    _case(
        "tree-gaps",
        "DecisionTreeClassifier() on missing values",
        lambda: gaps(DecisionTreeClassifier(random_state=0)),
    ),
    _case(
        "tree-pruned",
        'DecisionTreeClassifier(ccp_alpha=0.002, criterion="entropy", class_weight="balanced")',
        lambda: gaps(
            DecisionTreeClassifier(
                ccp_alpha=0.002, criterion="entropy", class_weight="balanced", random_state=0
            )
        ),
    ),
    _case(
        "tree-stump",
        "DecisionTreeClassifier(max_depth=1)",
        lambda: gaps(DecisionTreeClassifier(max_depth=1)),
    ),
    _case(
        "tree-number",
        "DecisionTreeRegressor()",
        lambda: model(DecisionTreeRegressor(random_state=0)),
        "minutes",
    ),
    _case(
        "tree-number-gaps",
        "DecisionTreeRegressor() on missing values",
        lambda: gaps(DecisionTreeRegressor(random_state=0)),
        "minutes",
    ),
    _case(
        "tree-number-absolute",
        'DecisionTreeRegressor(criterion="absolute_error")',
        lambda: model(
            DecisionTreeRegressor(criterion="absolute_error", max_depth=4, random_state=0)
        ),
        "minutes",
    ),
    _case(
        "tree-number-two",
        "DecisionTreeRegressor(), two outputs",
        lambda: model(DecisionTreeRegressor(max_depth=8, random_state=0)),
        "both",
    ),
    _case(
        "extra-tree",
        "ExtraTreeClassifier()",
        lambda: gaps(ExtraTreeClassifier(random_state=0)),
    ),
    _case(
        "extra-tree-number",
        "ExtraTreeRegressor()",
        lambda: gaps(ExtraTreeRegressor(random_state=0)),
        "minutes",
    ),
    _case(
        "forest",
        "RandomForestClassifier()",
        lambda: model(_forest(RandomForestClassifier)),
    ),
    _case(
        "forest-classes",
        "RandomForestClassifier(), three classes",
        lambda: model(_forest(RandomForestClassifier)),
        "band",
    ),
    _case(
        "forest-gaps",
        "RandomForestClassifier() on missing values",
        lambda: gaps(_forest(RandomForestClassifier)),
    ),
    _case(
        "forest-gaps-classes",
        "RandomForestClassifier() on missing values, three classes",
        lambda: gaps(_forest(RandomForestClassifier, max_features=None, max_depth=10)),
        "band012",
    ),
    _case(
        "forest-balanced",
        'RandomForestClassifier(class_weight="balanced_subsample", max_samples=0.5)',
        lambda: gaps(
            _forest(RandomForestClassifier, class_weight="balanced_subsample", max_samples=0.5)
        ),
    ),
    _case(
        "forest-two",
        "RandomForestClassifier(), two targets",
        lambda: model(_forest(RandomForestClassifier)),
        "labels",
    ),
    _case(
        "forest-number",
        "RandomForestRegressor()",
        lambda: model(_forest(RandomForestRegressor)),
        "minutes",
    ),
    _case(
        "forest-number-gaps",
        "RandomForestRegressor() on missing values",
        lambda: gaps(_forest(RandomForestRegressor)),
        "minutes",
    ),
    _case(
        "forest-number-poisson",
        'RandomForestRegressor(criterion="poisson", monotonic_cst=None)',
        lambda: gaps(_forest(RandomForestRegressor, criterion="poisson", max_depth=8)),
        "air time",
    ),
    _case(
        "forest-number-two",
        "RandomForestRegressor(), two outputs",
        lambda: model(_forest(RandomForestRegressor, max_depth=8)),
        "both",
    ),
    _case("extra", "ExtraTreesClassifier()", lambda: model(_forest(ExtraTreesClassifier))),
    _case(
        "extra-gaps",
        "ExtraTreesClassifier() on missing values, three classes",
        lambda: gaps(_forest(ExtraTreesClassifier)),
        "band",
    ),
    _case(
        "extra-number",
        "ExtraTreesRegressor()",
        lambda: model(_forest(ExtraTreesRegressor)),
        "minutes",
    ),
    _case(
        "extra-number-gaps",
        "ExtraTreesRegressor() on missing values",
        lambda: gaps(_forest(ExtraTreesRegressor, max_depth=10)),
        "minutes",
    ),
    _case("embedding", "RandomTreesEmbedding(), then LogisticRegression()", _embedded),
)
