"""Functions and transformers as people write them, in numpy and in pandas."""

# ruff: noqa: N803, N806, ARG002 - the names are scikit-learn's

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted

from cases.data import NUMBERS, STRINGS


def log_sizes(X):
    return np.sign(X) * np.log1p(np.abs(X))


def powers(X):
    return np.hstack([X, X**2, np.abs(X) ** 0.5, np.power(np.abs(X), 1 / 3)])


def ratios(X):
    return X[:, [0]] / (X[:, [1]] + 1.0)


def side_by_side(X):
    return np.c_[X, X[:, 0] * X[:, 1], X[:, 3] - X[:, 2]]


def hour_angle(X):
    hour = X[:, 6]
    return np.column_stack([np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24), X])


def in_place(X):
    X = X.copy()
    X[:, 0] = np.clip(X[:, 0], -15, 120)
    X[:, 2] /= 100
    X[X < 0] = 0
    X += 1
    return X


def masked(X):
    X = np.array(X, dtype=float)
    late = X[:, 0] > 15
    X[late, 0] = 15 + np.sqrt(X[late, 0] - 15)
    X[~late, 1] *= 0.5
    return X


def binned(X):
    return np.column_stack([X, np.digitize(X[:, 0], [-5, 0, 15, 60]), np.floor(X[:, 6] / 6)])


def chosen(X):
    part = np.select([X[:, 6] < 6, X[:, 6] < 12, X[:, 6] < 18], [0, 1, 2], default=3)
    return np.column_stack([X, part, np.where(X[:, 1] < 32, 1.0, 0.0)])


def per_row(X):
    return np.column_stack(
        [X.mean(axis=1), X.std(axis=1), X.max(axis=1) - X.min(axis=1), np.linalg.norm(X, axis=1)]
    )


def filled_rows(X):
    X = np.asarray(X, dtype=float)
    gaps = np.isnan(X)
    middle = np.nanmean(X[:, :5], axis=1, keepdims=True)
    return np.hstack([np.where(gaps, middle, X), gaps.astype(float)])


def bent(X):
    return np.column_stack([np.interp(X[:, 0], [-20, 0, 60, 300], [-1, 0, 3, 4]), X[:, 1:]])


def single_precision(X):
    return np.sqrt(np.abs(X).astype(np.float32)).astype(np.float64)


def stays_single(X):
    return X.astype(np.float32)


def around_the_clock(X):
    hour = X[:, 6].astype(int)
    return np.column_stack([X, hour % 12, hour // 6, (hour - 12) % 24])


def weighed(X, weights=None, offset=0.0):
    return X @ weights + offset


def haversine(X):
    a = np.radians(X[:, 1])
    b = np.radians(X[:, 2])
    inner = np.sin((a - b) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(b / 2) ** 2
    return np.column_stack([X, 2 * 6371 * np.arcsin(np.sqrt(inner))])


def engineered(df):
    df = df.copy()
    df["speed"] = df["distance"] / (df["hour"] + 1)
    df["humid_cold"] = df["humid"] * (df["temp"] < 40)
    df["age"] = 2013 - df["year_built"]
    df["is_ua"] = (df["carrier"] == "UA").astype(int)
    df["from_jfk"] = df["origin"].eq("JFK")
    df["no_maker"] = df["manufacturer"].isna().astype(int)
    df.loc[df["dep_delay"] < 0, "dep_delay"] = 0
    return df.drop(columns=STRINGS)


def assigned(df):
    return df.assign(
        late=lambda d: d.dep_delay.clip(lower=0),
        dew=lambda d: d.temp - (100 - d.humid) / 5,
        winter=df["month"].isin([12, 1, 2]),
    )[["late", "dew", "winter", "distance"]]


def made_anew(df):
    return pd.DataFrame(
        {
            "delay": np.sign(df["dep_delay"]) * np.log1p(df["dep_delay"].abs()),
            "rush": np.where(df["hour"].between(16, 19), 1, 0),
            "quarter": (df["month"] - 1) // 3 + 1,
            "miles": df["distance"].astype(float).pow(0.5),
        },
        index=df.index,
    )


def cyclic(df):
    out = df[NUMBERS].copy()
    for name, period in (("month", 12), ("hour", 24)):
        out[f"{name}_sin"] = np.sin(2 * np.pi * df[name] / period)
        out[f"{name}_cos"] = np.cos(2 * np.pi * df[name] / period)
    return out


def tabled(df):
    return pd.concat(
        [
            df[NUMBERS].fillna({"temp": 55.0, "humid": 60.0}),
            df["origin"].map({"JFK": 1, "LGA": 2, "EWR": 3}).rename("airport"),
            df["carrier"].isin(["UA", "AA", "DL"]).rename("large"),
            df["weekend"].astype(int).rename("weekend"),
        ],
        axis=1,
    )


def per_row_frame(df):
    part = df[NUMBERS]
    return part.assign(
        gaps=part.isna().sum(axis=1), most=part.max(axis=1), middle=part.mean(axis=1)
    )


def grouped_carriers(df):
    large = {"UA": "United", "B6": "JetBlue", "EV": "ExpressJet", "DL": "Delta", "AA": "American"}
    return df.assign(carrier=df["carrier"].map(large).fillna("small"), temp=df["temp"].clip(0, 100))


def seasons(df):
    table = {12: "winter", 1: "winter", 2: "winter", 6: "summer", 7: "summer", 8: "summer"}
    return df.assign(season=df["month"].map(table).fillna("between"))


def parts_of_day(df):
    bins = [-1, 5, 11, 17, 24]
    return df.assign(part=pd.cut(df["hour"], bins, labels=["night", "morning", "noon", "evening"]))


def late_or_not(df):
    return df.assign(state=np.where(df["dep_delay"] > 15, "late", "on time"))


def cut_by_number(df):
    return df[NUMBERS].assign(band=pd.cut(df["temp"], [-50, 32, 60, 150], labels=False))


def lower_carriers(df):
    return df.assign(carrier=df["carrier"].str.lower().str.strip())


def first_words(df):
    return df.assign(manufacturer=df["manufacturer"].fillna("none").str.split(" ").str[0])


def has_airbus(df):
    return df[NUMBERS].assign(
        airbus=df["manufacturer"].str.contains("AIRBUS", na=False).astype(int),
        letters=df["carrier"].str.startswith("U").fillna(False).astype(int),
    )


def uses_a_branch(X):
    if X[0, 0] > 0:
        return X
    return -X


def uses_a_loop(X):
    return np.array([[value if value > 0 else 0.0 for value in row] for row in X])


def uses_the_others(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


class Clipper(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Cuts at quantiles that it learned."""

    def __init__(self, low=0.01, high=0.99):
        self.low = low
        self.high = high

    def fit(self, X, y=None):
        X = check_array(X, ensure_all_finite="allow-nan")
        self.low_ = np.nanquantile(X, self.low, axis=0)
        self.high_ = np.nanquantile(X, self.high, axis=0)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = check_array(X, ensure_all_finite="allow-nan")
        return np.clip(X, self.low_, self.high_)


class Means(TransformerMixin, BaseEstimator):
    """Fills and scales by pandas' means and deviations."""

    def fit(self, X, y=None):
        self.columns_ = list(X.columns)
        self.mean_ = X.mean()
        self.deviation_ = X.std()
        return self

    def transform(self, X):
        X = X[self.columns_]
        return (X.fillna(self.mean_) - self.mean_) / self.deviation_


class Groups(TransformerMixin, BaseEstimator):
    """Puts the mean of a group, learned in fit, beside a column."""

    def __init__(self, by="carrier", of="distance"):
        self.by = by
        self.of = of

    def fit(self, X, y=None):
        self.table_ = X.groupby(self.by)[self.of].mean().to_dict()
        self.overall_ = X[self.of].mean()
        return self

    def transform(self, X):
        X = X.copy()
        X[f"{self.of}_{self.by}"] = X[self.by].map(self.table_).fillna(self.overall_)
        X["apart"] = X[self.of] - X[f"{self.of}_{self.by}"]
        return X.drop(columns=[self.by])


class Columns(TransformerMixin, BaseEstimator):
    """Chooses columns by name, as people wrote before there was a ColumnTransformer."""

    def __init__(self, names):
        self.names = names

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X[self.names]


class Dense(TransformerMixin, BaseEstimator):
    """Makes a full matrix of a sparse one."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.toarray() if hasattr(X, "toarray") else np.asarray(X)


class Doubled(StandardScaler):
    """A class of scikit-learn with a method of its own."""

    def transform(self, X, copy=None):
        return np.tanh(super().transform(X, copy=copy))


class Looped(TransformerMixin, BaseEstimator):
    """Goes through the rows, and says for the graph what that amounts to."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.array([[max(value, 0.0) for value in row] for row in X])

    def __mlpack_export__(self, X, graph):
        return graph.node("Relu", X)
