"""Pipelines that end with a module of PyTorch, exported and proved on real data."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import skorch
import torch
from exporting import NUMBERS, PENGUINS, STRINGS, proved
from networks import (
    AcrossRows,
    Attention,
    Branching,
    Codes,
    Double,
    Embedded,
    Images,
    Layers,
    Sequence,
    Shortened,
    Silent,
    Spoken,
    Tables,
    single,
)
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_digits, load_linnerud, load_wine
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from torch import nn

from cases.data import table
from mlpack.exporters.onnx_model import OnnxModel
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.sklearn.converters.torch_modules import exported
from mlpack.inspection.models import AS_ONNX
from mlpack.ports import NotExportableError
from mlpack.training.observe import observe

SINGLE = 1e-6
"""The modules compute in float32."""

ROWS = PENGUINS.dropna(subset=["sex"])
X, SPECIES = ROWS[NUMBERS + STRINGS], ROWS["species"].to_numpy()
CODES = np.unique(SPECIES, return_inverse=True)[1].astype(np.int64)
FIRST = (CODES == 0).astype(np.float32)
WINE = load_wine(as_frame=True)
DIABETES = load_diabetes(as_frame=True, scaled=False)
SHORT = {
    "max_epochs": 12,
    "lr": 0.01,
    "optimizer": torch.optim.Adam,
    "verbose": 0,
    "train_split": None,
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def columns():
    """Nine columns: three numbers and five texts."""
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), STRINGS),
    )


def coded(**options):
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **options)


def rounded():
    return FunctionTransformer(single)


def classifier(module, *, criterion=nn.CrossEntropyLoss, **options):
    return skorch.NeuralNetClassifier(module, criterion=criterion, **{**SHORT, **options})


class FirstLoss(nn.CrossEntropyLoss):
    def forward(self, said, wanted):
        return super().forward(said[0], wanted)


def shares(said):
    return torch.softmax(said, dim=1)


def fitted(pipeline, rows, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline.fit(rows, target)


def assert_exact(pipeline, rows, target, tolerance=SINGLE):
    report, worst, found = proved(fitted(pipeline, rows, target), rows)
    assert report.equal, worst[:3]
    assert max(check.largest for check in report.checks) <= tolerance
    assert found.form == "onnx"
    return report


def refusal(pipeline, rows, target):
    ready = fitted(pipeline, rows, target)
    signature = observe(rows, ready, target="y", source="train")
    with pytest.raises(NotExportableError) as caught:
        SklearnExporter().export(ready, signature)
    return str(caught.value)


def test_classes_as_shares():
    net = classifier(Layers(8, 3, shares=True), criterion=nn.NLLLoss)
    report = assert_exact(make_pipeline(columns(), rounded(), net), X, CODES)
    checks = {check.name: check for check in report.checks}
    assert checks["extreme numbers"].refused  # float32 runs over in both


@pytest.mark.parametrize("middle", [nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Hardswish, nn.LeakyReLU])
def test_classes_as_logits(middle):
    net = classifier(Layers(8, 3, middle=middle))
    assert_exact(make_pipeline(columns(), rounded(), net), X, CODES)


def test_two_classes_as_one_logit_with_a_threshold():
    net = skorch.NeuralNetBinaryClassifier(Layers(8, 1), threshold=0.3, **SHORT)
    assert_exact(make_pipeline(columns(), rounded(), net), X, FIRST)


def test_codes_beside_numbers():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    before = make_column_transformer((coded(), STRINGS), (numbers, NUMBERS))
    net = skorch.NeuralNetBinaryClassifier(Embedded(5, [3, 2]), **SHORT)
    report = assert_exact(make_pipeline(before, net), X, FIRST)
    checks = {check.name: check for check in report.checks}
    odd = checks["unknown and odd strings"]
    assert odd.refused == odd.rows  # -1 is no row of the table


def test_nothing_but_codes_of_many_flights():
    flights = table("flights", "late")
    texts = flights.fit[["carrier", "origin"]].dropna()
    late = (
        np.asarray(flights.target)[flights.fit.index.get_indexer(texts.index)] == "late"
    ).astype(np.int64)
    net = classifier(Codes([texts["carrier"].nunique(), 3], 2))
    before = make_column_transformer((coded(dtype=np.int64), ["carrier", "origin"]))
    assert_exact(make_pipeline(before, net), texts, late)


@pytest.mark.parametrize("module", [Sequence, Attention])
def test_columns_one_after_the_other(module):
    pipeline = make_pipeline(StandardScaler(), rounded(), classifier(module(3)))
    assert_exact(pipeline, WINE.data, WINE.target.to_numpy())


def test_images():
    digits = load_digits(as_frame=True)
    pipeline = make_pipeline(StandardScaler(with_std=False), rounded(), classifier(Images(10)))
    assert_exact(pipeline, digits.data.iloc[:600], digits.target.to_numpy()[:600])


def test_one_value():
    net = skorch.NeuralNetRegressor(Layers(10, 1), **SHORT)
    target = DIABETES.target.to_numpy(np.float32).reshape(-1, 1)
    assert_exact(make_pipeline(StandardScaler(), rounded(), net), DIABETES.data, target)


def test_several_values():
    data = load_linnerud(as_frame=True)
    net = skorch.NeuralNetRegressor(Layers(3, 3, middle=nn.Softplus), **SHORT)
    pipeline = make_pipeline(StandardScaler(), rounded(), net)
    assert_exact(pipeline, data.data, data.target.to_numpy(np.float32))


def test_double_precision_stays_double():
    pipeline = make_pipeline(StandardScaler(), Double())
    assert_exact(pipeline, DIABETES.data, DIABETES.target, tolerance=1e-12)


def test_a_net_within_another_model():
    inner = make_pipeline(columns(), rounded(), classifier(Layers(8, 3)))
    other = make_pipeline(columns(), LogisticRegression())
    voting = VotingClassifier([("net", inner), ("linear", other)], voting="soft")
    assert_exact(voting, X, CODES)


def test_an_estimator_of_ones_own_by_its_hook():
    assert_exact(make_pipeline(columns(), Spoken()), X, SPECIES)


def test_a_transformer_of_ones_own_by_its_hook():
    assert_exact(make_pipeline(columns(), Shortened(), LogisticRegression()), X, SPECIES)


def test_the_same_pipeline_gives_the_same_bytes():
    pipeline = fitted(make_pipeline(columns(), rounded(), classifier(Layers(8, 3))), X, CODES)
    signature = observe(X, pipeline, target="y", source="train")
    first = SklearnExporter().export(pipeline, signature).model
    assert first == SklearnExporter().export(pipeline, signature).model
    assert b".py" not in first


def test_the_module_stays_as_it_was():
    module = Layers(4, 2).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    exported(module, 4, "float32")
    assert module.training
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_nothing_is_printed_beside_the_reason(capfd):
    module = Branching(13, 3)
    with pytest.raises(ValueError, match="decides by the numbers"):
        exported(module, 13, "float32")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("model", "rows", "target", "reason"),
    [
        (classifier(Branching(13, 3)), WINE.data, WINE.target.to_numpy(), "decides by the numbers"),
        (classifier(Layers(13, 3)), WINE.data, WINE.target.to_numpy() + 1, "train it on whole"),
    ],
)
def test_what_cannot_be_a_graph_says_why(model, rows, target, reason):
    if target.min() > 0:
        model.set_params(criterion=nn.MultiMarginLoss, classes=[1, 2, 3])
        target = target - 1
    assert reason in refusal(make_pipeline(StandardScaler(), rounded(), model), rows, target)


def test_a_frame_handed_to_forward_column_by_column_says_why():
    class ByName(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(13, 3)

        def forward(self, **given):
            return self.layer(torch.cat([each.float() for each in given.values()], dim=1))

    data = WINE.data.rename(columns=lambda name: name.replace("/", "_"))
    before = StandardScaler().set_output(transform="pandas")
    reason = refusal(make_pipeline(before, classifier(ByName())), data, WINE.target.to_numpy())
    assert "set_output(transform='default')" in reason


def test_a_model_without_the_hook_says_so():
    reason = refusal(make_pipeline(columns(), Silent()), X, SPECIES)
    assert "with __mlpack_export__" in reason


def test_of_several_answers_the_first_counts():
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = Layers(8, 3)

        def forward(self, X):
            out = self.layers(X)
            return out, out.sum(dim=1)

    net = classifier(Several(), criterion=FirstLoss, predict_nonlinearity=shares)
    assert_exact(make_pipeline(columns(), rounded(), net), X, CODES)


def test_an_answer_that_is_no_row_of_numbers_says_so():
    with pytest.raises(ValueError, match="a row of numbers for each row"):
        exported(Tables(), 4, "float32")


@pytest.mark.parametrize("module", [Sequence(3), Layers(13, 3, middle=nn.GELU)])
def test_what_onnx_runtime_lacks_in_double_precision_says_so(module):
    with pytest.raises(ValueError, match="cannot run it in float64"):
        exported(module.double(), 13, "float64")


def test_a_module_that_looks_at_the_other_rows_never_ships_as_a_graph():
    pipeline = make_pipeline(StandardScaler(), rounded(), classifier(AcrossRows(13, 3)))
    report, _, _ = proved(fitted(pipeline, WINE.data, WINE.target.to_numpy()), WINE.data)
    assert not report.equal


def test_the_hint_for_a_bare_module_makes_a_model_that_is_read(tmp_path):
    (tmp_path / "models").mkdir()
    line = AS_ONNX.split("  #")[0].replace("models/", f"{tmp_path}/models/")
    module = nn.Sequential(nn.Linear(4, 2)).eval()
    exec(line, {"torch": torch, "module": module, "x": torch.zeros(3, 4)})
    model = OnnxModel(
        (tmp_path / "models" / "model.onnx").read_bytes(), tuple("abcd"), "model.onnx"
    )
    rows = np.random.default_rng(0).normal(size=(5, 4))
    wanted = module(torch.from_numpy(rows.astype(np.float32))).detach().numpy()
    found = model.predict(pd.DataFrame(rows, columns=list("abcd")))
    assert np.asarray(found) == pytest.approx(wanted, abs=1e-6)
