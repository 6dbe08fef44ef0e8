"""Whole pipelines on real data, exported and proved on real, hostile and threshold rows."""

from __future__ import annotations

import numpy as np
import onnx
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, STRINGS, assert_equal, proved
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    RANSACRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, NuSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlpack.ports import NotExportableError


def columns(numbers=("fill", "scale"), encoder=None, extra=()):
    steps = {
        "fill": SimpleImputer(strategy="median"),
        "scale": StandardScaler(),
        "indicate": SimpleImputer(add_indicator=True),
        "minmax": MinMaxScaler(clip=True),
        "robust": RobustScaler(),
        "maxabs": MaxAbsScaler(),
    }
    strings = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        encoder or OneHotEncoder(handle_unknown="ignore"),
    )
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(*(steps[name] for name in numbers)), NUMBERS),
            ("strings", strings, STRINGS),
            *extra,
        ]
    )


CLASSIFIERS = {
    "LogisticRegression": LogisticRegression(max_iter=2000),
    "RidgeClassifier": RidgeClassifier(),
    "SGDClassifier": SGDClassifier(random_state=0),
    "DecisionTree": DecisionTreeClassifier(random_state=0),
    "RandomForest": RandomForestClassifier(20, random_state=0),
    "ExtraTrees": ExtraTreesClassifier(20, random_state=0),
    "GradientBoosting": GradientBoostingClassifier(n_estimators=10),
    "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=15),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers_are_exact_behind_a_scaler(name, classes):
    data = PENGUINS if classes == 3 else PENGUINS[PENGUINS.species != "Gentoo"]
    frame = data[NUMBERS + STRINGS].reset_index(drop=True)
    pipeline = make_pipeline(columns(), CLASSIFIERS[name]).fit(frame, data.species)
    assert_equal(pipeline, frame)


@pytest.mark.parametrize("name", ["DecisionTree", "RandomForest", "HistGradientBoosting"])
def test_trees_take_missing_numbers_as_the_original_does(name):
    frame = PENGUINS[NUMBERS]
    pipeline = make_pipeline(FunctionTransformer(), CLASSIFIERS[name]).fit(frame, PENGUINS.species)
    report, _ = assert_equal(pipeline, frame)
    around = next(check for check in report.checks if check.name == "around thresholds")
    assert around.rows > 50


REGRESSORS = {
    "LinearRegression": LinearRegression(),
    "Ridge": Ridge(),
    "DecisionTree": DecisionTreeRegressor(random_state=0),
    "RandomForest": RandomForestRegressor(20, random_state=0),
    "ExtraTrees": ExtraTreesRegressor(20, random_state=0),
    "GradientBoosting": GradientBoostingRegressor(n_estimators=10),
    "HistGradientBoosting": HistGradientBoostingRegressor(max_iter=15),
    "HistGradientBoosting poisson": HistGradientBoostingRegressor(max_iter=15, loss="poisson"),
    "log target": TransformedTargetRegressor(
        LinearRegression(), func=np.log1p, inverse_func=np.expm1
    ),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_are_exact(name):
    data = PENGUINS.dropna(subset=["body_mass_g"]).reset_index(drop=True)
    frame = data[NUMBERS + STRINGS]
    pipeline = make_pipeline(columns(), REGRESSORS[name]).fit(frame, data.body_mass_g)
    assert_equal(pipeline, frame)


PREPARATIONS = {
    "indicator": columns(("indicate", "scale")),
    "minmax clip": columns(("fill", "minmax")),
    "robust": columns(("fill", "robust")),
    "maxabs": columns(("fill", "maxabs")),
    "ordinal": columns(
        encoder=OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    ),
    "drop first": columns(encoder=OneHotEncoder(drop="first", handle_unknown="ignore")),
    "infrequent": columns(
        encoder=OneHotEncoder(min_frequency=60, handle_unknown="infrequent_if_exist")
    ),
    "unknown is an error": columns(encoder=OneHotEncoder()),
    "integers as categories": columns(
        extra=[("year", OneHotEncoder(handle_unknown="ignore"), ["year"])]
    ),
    "integers as numbers": columns(extra=[("year", "passthrough", ["year"])]),
    "selectors": ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(), StandardScaler()),
                make_column_selector(dtype_include=float),
            ),
            (
                "strings",
                OneHotEncoder(handle_unknown="ignore"),
                make_column_selector(dtype_exclude="number"),
            ),
        ]
    ),
    "remainder": ColumnTransformer(
        [
            (
                "strings",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="none"),
                    OneHotEncoder(handle_unknown="ignore"),
                ),
                STRINGS,
            )
        ],
        remainder=SimpleImputer(),
    ),
}


@pytest.mark.parametrize("name", PREPARATIONS)
def test_preparations_are_exact(name):
    frame = PENGUINS[[*NUMBERS, *STRINGS, "year"]]
    model = LogisticRegression(max_iter=5000)
    pipeline = make_pipeline(PREPARATIONS[name], model).fit(frame, PENGUINS.species)
    assert_equal(pipeline, frame)


def test_missing_and_unknown_categories_have_codes_of_their_own():
    frame = PENGUINS[["sex"]]
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    pipeline = make_pipeline(encoder, DecisionTreeClassifier()).fit(frame, PENGUINS.species)
    _, exported = assert_equal(pipeline, frame)
    assert exported.encoding.codes[0].categories == ("female", "male")


def test_a_category_called_nan_is_not_a_missing_value():
    frame = pd.DataFrame({"plan": ["nan", "pro", None, "nan", "pro", None] * 10})
    target = ["a", "b", "c"] * 20
    target[3], target[4] = "a", "b"
    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(frame, target)
    assert_equal(pipeline, frame)


def test_a_categorical_dtype_takes_strangers_as_missing():
    frame = PENGUINS[STRINGS].astype("category")
    narrow = frame.copy()
    narrow.loc[narrow.island == "Dream", "island"] = None
    encoder = OneHotEncoder(handle_unknown="ignore", max_categories=2)
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(narrow, PENGUINS.species)
    assert_equal(pipeline, frame)


def test_target_encoder():
    frame = PENGUINS[STRINGS]
    target = PENGUINS.species == "Gentoo"
    pipeline = make_pipeline(TargetEncoder(), LogisticRegression()).fit(frame, target)
    assert_equal(pipeline, frame)


def test_union_selection_projection_and_search():
    frame = PENGUINS[NUMBERS]
    union = FeatureUnion(
        [("best", SelectKBest(k=2)), ("pca", PCA(2, whiten=True)), ("all", "passthrough")]
    )
    pipeline = Pipeline(
        [("fill", SimpleImputer()), ("union", union), ("model", LogisticRegression(max_iter=5000))]
    )
    search = GridSearchCV(pipeline, {"model__C": [0.1, 1.0]}, cv=3).fit(frame, PENGUINS.species)
    assert_equal(search, frame)


RESHAPED = {
    "l2": Normalizer(),
    "l1": Normalizer(norm="l1"),
    "max": Normalizer(norm="max"),
    "binarizer": Binarizer(threshold=0.1),
    "bins one-hot": KBinsDiscretizer(4, encode="onehot", quantile_method="averaged_inverted_cdf"),
    "bins ordinal": KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    "squares": PolynomialFeatures(2),
    "cubes, interactions only": PolynomialFeatures((2, 3), interaction_only=True),
    "yeo-johnson": PowerTransformer(),
    "yeo-johnson as it is": PowerTransformer(standardize=False),
}


@pytest.mark.parametrize("name", RESHAPED)
def test_reshaping_is_exact(name):
    step = RESHAPED[name]
    frame = PENGUINS[NUMBERS]
    pipeline = make_pipeline(
        SimpleImputer(), StandardScaler(), step, LogisticRegression(max_iter=3000)
    ).fit(frame, PENGUINS.species)
    assert_equal(pipeline, frame)


def test_box_cox_refuses_what_is_not_positive():
    data = PENGUINS[NUMBERS].dropna().reset_index(drop=True)
    target = PENGUINS.dropna(subset=NUMBERS).species
    pipeline = make_pipeline(PowerTransformer(method="box-cox"), DecisionTreeClassifier())
    assert_equal(pipeline.fit(data, target), data)


def test_an_indicator_beside_the_filled_columns():
    frame = PENGUINS[NUMBERS]
    union = FeatureUnion([("fill", SimpleImputer()), ("absent", MissingIndicator())])
    pipeline = make_pipeline(union, LogisticRegression(max_iter=3000))
    assert_equal(pipeline.fit(frame, PENGUINS.species), frame)


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "sigmoid"])
@pytest.mark.parametrize("classes", [2, 3])
def test_support_vectors_vote_as_libsvm_does(kernel, classes):
    data = PENGUINS if classes == 3 else PENGUINS[PENGUINS.species != "Gentoo"]
    frame = data[NUMBERS].reset_index(drop=True)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), SVC(kernel=kernel))
    assert_equal(pipeline.fit(frame, data.species), frame)


MORE = {
    "NuSVC": NuSVC(nu=0.2),
    "one sigmoid a class": SGDClassifier(loss="log_loss", random_state=0),
    "nystroem": make_pipeline(
        Nystroem(n_components=20, random_state=0), LogisticRegression(max_iter=3000)
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_more_classifiers_are_exact(name):
    frame = PENGUINS[NUMBERS]
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), MORE[name])
    assert_equal(pipeline.fit(frame, PENGUINS.species), frame)


MORE_REGRESSORS = {
    "SVR": SVR(),
    "kernel ridge": KernelRidge(kernel="rbf"),
    "poisson": PoissonRegressor(),
    "tweedie": TweedieRegressor(power=1.5),
    "ransac": RANSACRegressor(random_state=0),
}


@pytest.mark.parametrize("name", MORE_REGRESSORS)
def test_more_regressors_are_exact(name):
    data = PENGUINS.dropna(subset=["body_mass_g"]).reset_index(drop=True)
    frame = data[NUMBERS]
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), MORE_REGRESSORS[name])
    assert_equal(pipeline.fit(frame, data.body_mass_g), frame)


def test_trees_with_several_outputs():
    data = PENGUINS.dropna(subset=["body_mass_g"]).reset_index(drop=True)
    frame = data[NUMBERS]
    pipeline = make_pipeline(SimpleImputer(), RandomForestRegressor(8, random_state=0))
    _, exported = assert_equal(pipeline.fit(frame, data[["body_mass_g", "year"]]), frame)
    assert exported.form == "onnx"


def test_weights_of_columns_and_unions():
    frame = PENGUINS[NUMBERS + STRINGS]
    union = FeatureUnion(
        [("a", SimpleImputer()), ("b", SimpleImputer(strategy="median"))],
        transformer_weights={"b": 0.3},
    )
    weighed = ColumnTransformer(
        [("n", union, NUMBERS), ("s", OneHotEncoder(handle_unknown="ignore"), STRINGS)],
        transformer_weights={"n": 0.01, "s": 2.5},
    )
    pipeline = make_pipeline(weighed, LogisticRegression(max_iter=3000))
    assert_equal(pipeline.fit(frame, PENGUINS.species), frame)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=["one-hot", "ordinal"])
def test_encoders_that_raise_for_everything_new_refuse_it(encoder):
    frame = PENGUINS[["island"]]
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(frame, PENGUINS.species)
    report, exported = assert_equal(pipeline, frame)
    assert exported.encoding.codes[0].refuse_unknown
    assert sum(check.refused for check in report.checks) > 10


def test_booleans_as_categories_know_a_missing_one():
    frame = PENGUINS[["island"]].assign(heavy=PENGUINS.body_mass_g > 4000)
    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(frame, PENGUINS.species)
    assert_equal(pipeline, frame)


def members():
    return [
        ("logistic", LogisticRegression(max_iter=3000)),
        ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
        ("forest", RandomForestClassifier(5, random_state=0)),
    ]


COMBINED = {
    "soft votes": VotingClassifier(members(), voting="soft", weights=[1, 2, 0.5]),
    "hard votes": VotingClassifier(members()),
    "hard votes, weighed": VotingClassifier(members(), weights=[0.2, 0.5, 0.4]),
    "bags": BaggingClassifier(
        DecisionTreeClassifier(max_depth=4), 6, max_features=0.6, random_state=0
    ),
    "stack": StackingClassifier(members(), LogisticRegression(max_iter=3000), cv=3),
    "stack, passing through": StackingClassifier(
        members(), LogisticRegression(max_iter=9000), cv=3, passthrough=True
    ),
    "lda": LinearDiscriminantAnalysis(),
}


@pytest.mark.parametrize("name", COMBINED)
@pytest.mark.parametrize("classes", [2, 3])
def test_combined_classifiers_are_exact(name, classes):
    data = PENGUINS if classes == 3 else PENGUINS[PENGUINS.species != "Gentoo"]
    frame = data[NUMBERS].reset_index(drop=True)
    steps = (SimpleImputer(), StandardScaler(), COMBINED[name])
    assert_equal(make_pipeline(*steps).fit(frame, data.species), frame)


@pytest.mark.parametrize(
    "model",
    [
        FixedThresholdClassifier(LogisticRegression(), threshold=0.3),
        FixedThresholdClassifier(LogisticRegression(), threshold=0.8, pos_label="Adelie"),
        TunedThresholdClassifierCV(LogisticRegression(), cv=3),
    ],
    ids=["fixed", "fixed for the first class", "tuned"],
)
def test_thresholds_are_kept(model):
    data = PENGUINS[PENGUINS.species != "Gentoo"]
    frame = data[NUMBERS].reset_index(drop=True)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), model).fit(frame, data.species)
    assert_equal(pipeline, frame)


@pytest.mark.parametrize(
    "model",
    [
        VotingRegressor([("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=4))]),
        BaggingRegressor(DecisionTreeRegressor(max_depth=4), 5, random_state=0),
        StackingRegressor([("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=4))]),
    ],
    ids=["votes", "bags", "stack"],
)
def test_combined_regressors_are_exact(model):
    data = PENGUINS.dropna(subset=["body_mass_g"]).reset_index(drop=True)
    frame = data[NUMBERS]
    assert_equal(make_pipeline(SimpleImputer(), model).fit(frame, data.body_mass_g), frame)


def test_a_step_of_skl2onnx_is_proved_like_the_others():
    frame = PENGUINS[NUMBERS].dropna().reset_index(drop=True)
    target = PENGUINS.dropna(subset=NUMBERS).species.reset_index(drop=True)
    pipeline = make_pipeline(StandardScaler(), QuadraticDiscriminantAnalysis()).fit(frame, target)
    report, _, exported = proved(pipeline, frame)
    assert report.equal
    assert exported.steps[-1].how == "skl2onnx"


TEXTS = pd.DataFrame(
    {
        "name": [
            "Allen, Miss Elisabeth Walton",
            "Allison, Master Hudson Trevor",
            "Anderson, Mr Harry",
            "Andrews, Miss Kornelia Theodosia",
            "Astor, Mrs John Jacob (Madeleine Talmadge Force)",
            "Björnström-Steffansson, Mr Mauritz Håkan",
        ]
        * 5
    }
)
SEX = ["female", "male", "male", "female", "female", "male"] * 5


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        TfidfVectorizer(sublinear_tf=True, norm="l1"),
        TfidfVectorizer(ngram_range=(1, 2), min_df=2),
        TfidfVectorizer(lowercase=False, use_idf=False),
        CountVectorizer(binary=True, stop_words=["mr", "mrs"]),
        CountVectorizer(ngram_range=(2, 3)),
    ],
    ids=["tfidf", "sublinear", "bigrams", "cased", "binary", "two and three"],
)
def test_text_is_exact_in_every_script(vectorizer):
    pipeline = make_pipeline(
        ColumnTransformer([("name", vectorizer, "name")]), LogisticRegression()
    ).fit(TEXTS, SEX)
    assert_equal(pipeline, TEXTS)


@pytest.mark.parametrize(
    ("vectorizer", "parameter"),
    [
        (TfidfVectorizer(analyzer=str.split), "analyzer="),
        (CountVectorizer(preprocessor=str.lower), "preprocessor="),
        (CountVectorizer(tokenizer=str.split, token_pattern=None), "tokenizer="),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(vectorizer, parameter):
    pipeline = make_pipeline(
        ColumnTransformer([("text", vectorizer, "name")]), LogisticRegression()
    ).fit(TEXTS, SEX)
    with pytest.raises(NotExportableError) as error:
        proved(pipeline, TEXTS)
    assert error.value.path.startswith("columntransformer → text")
    assert parameter in error.value.reason


class Doubler(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):  # noqa: N803 - its name in scikit-learn
        return self

    def transform(self, X):  # noqa: N803 - its name in scikit-learn
        return X.apply(lambda row: row * 2, axis=1)


def test_code_of_the_user_is_named_in_the_reason():
    frame = PENGUINS[["year"]]
    pipeline = make_pipeline(Doubler(), LogisticRegression()).fit(frame, PENGUINS.species)
    with pytest.raises(NotExportableError, match="doubler → Doubler"):
        proved(pipeline, frame)


def test_the_same_pipeline_gives_the_same_bytes():
    frame = PENGUINS[NUMBERS + STRINGS]
    pipeline = make_pipeline(columns(), CLASSIFIERS["RandomForest"]).fit(frame, PENGUINS.species)
    first, second = (proved(pipeline, frame)[2] for _ in range(2))
    assert first.model == second.model
    assert first.encoding == second.encoding


def test_columns_that_the_pipeline_drops_do_not_enter_the_graph():
    frame = PENGUINS[[*NUMBERS, "year", "sex"]]
    pipeline = make_pipeline(
        ColumnTransformer([("numbers", SimpleImputer(), NUMBERS)]), DecisionTreeClassifier()
    ).fit(frame, PENGUINS.species)
    _, exported = assert_equal(pipeline, frame)
    assert exported.encoding.numbers == tuple(NUMBERS)
    assert exported.encoding.codes == ()
    graph = onnx.load_from_string(exported.model).graph
    assert [value.name for value in graph.input] == ["numbers"]
