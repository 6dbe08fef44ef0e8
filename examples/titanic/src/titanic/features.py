"""What a name in the passenger list tells: a transformer in code of the project's own."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

TITLES = {"Mr", "Mrs", "Miss", "Master"}


class PassengerNames(TransformerMixin, BaseEstimator):
    """Puts a passenger's title and the size of the family in the place of the name.

    ``Allison, Master Hudson Trevor`` becomes the title ``Master`` and the number of passengers
    called ``Allison`` among those that it was fitted on. Rare titles, and names without one,
    become ``other``; a family that it has not seen has the size 0.

    Args:
        column: the column that holds the names.
    """

    def __init__(self, column: str = "name") -> None:
        self.column = column

    def fit(self, X: pd.DataFrame, y: Any = None) -> "PassengerNames":  # noqa: ARG002, N803
        """Count the passengers of each family."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.families_ = self._surname(X).value_counts().to_dict()
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """The other columns as they are, and ``title`` and ``family``."""
        check_is_fitted(self)
        title = X[self.column].astype("str").str.extract(r",\s*(\w+)", expand=False)
        family = self._surname(X).map(self.families_)
        return X.drop(columns=self.column).assign(
            title=title.where(title.isin(TITLES), "other").astype(object),
            family=family.fillna(0).astype("float64"),
        )

    def _surname(self, X: pd.DataFrame) -> pd.Series:  # noqa: N803
        return X[self.column].astype("str").str.extract(r"^([^,]+),", expand=False)
