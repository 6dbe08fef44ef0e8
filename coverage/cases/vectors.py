"""Support vectors."""

from __future__ import annotations

from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR

from cases.case import Case
from cases.parts import few, model


def _svc(**options):
    return SVC(random_state=0, cache_size=50, **options)


CASES = (
    Case("vectors/svc", "SVC()", lambda: few(_svc())),
    Case("vectors/svc-linear", 'SVC(kernel="linear")', lambda: few(_svc(kernel="linear"))),
    Case(
        "vectors/svc-poly",
        'SVC(kernel="poly", degree=2, coef0=1)',
        lambda: few(_svc(kernel="poly", degree=2, coef0=1.0)),
    ),
    Case("vectors/svc-sigmoid", 'SVC(kernel="sigmoid")', lambda: few(_svc(kernel="sigmoid"))),
    Case("vectors/svc-classes", "SVC(), three classes", lambda: few(_svc()), target="band"),
    Case(
        "vectors/svc-ovo",
        'SVC(decision_function_shape="ovo"), three classes',
        lambda: few(_svc(decision_function_shape="ovo")),
        target="band",
    ),
    Case(
        "vectors/svc-break-ties",
        "SVC(break_ties=True), three classes",
        lambda: few(_svc(break_ties=True)),
        target="band",
    ),
    Case(
        "vectors/svc-probability",
        "SVC(probability=True)",
        lambda: few(_svc(probability=True)),
    ),
    Case(
        "vectors/svc-probability-classes",
        "SVC(probability=True), three classes",
        lambda: few(_svc(probability=True)),
        target="band",
    ),
    Case("vectors/nusvc", "NuSVC(nu=0.2)", lambda: few(NuSVC(nu=0.2, random_state=0))),
    Case(
        "vectors/nusvc-probability",
        "NuSVC(nu=0.2, probability=True)",
        lambda: few(NuSVC(nu=0.2, probability=True, random_state=0)),
    ),
    Case("vectors/linear-svc", "LinearSVC()", lambda: model(LinearSVC(random_state=0))),
    Case(
        "vectors/linear-svc-classes",
        "LinearSVC(), three classes",
        lambda: model(LinearSVC(random_state=0)),
        target="band",
    ),
    Case(
        "vectors/linear-svc-crammer",
        'LinearSVC(multi_class="crammer_singer")',
        lambda: model(LinearSVC(multi_class="crammer_singer", random_state=0, max_iter=200)),
        target="band",
    ),
    Case("vectors/svr", "SVR()", lambda: few(SVR(C=10.0)), target="minutes"),
    Case(
        "vectors/svr-linear",
        'SVR(kernel="linear")',
        lambda: few(SVR(kernel="linear")),
        target="minutes",
    ),
    Case("vectors/nusvr", "NuSVR()", lambda: few(NuSVR(C=10.0)), target="minutes"),
    Case(
        "vectors/linear-svr",
        "LinearSVR()",
        lambda: model(LinearSVR(random_state=0)),
        target="minutes",
    ),
)
