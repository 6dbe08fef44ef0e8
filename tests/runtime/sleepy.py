"""An estimator that takes its time."""

from __future__ import annotations

import time

from sklearn.base import BaseEstimator, RegressorMixin

SECONDS = 0.02


class Sleepy(RegressorMixin, BaseEstimator):
    """Answers twice the first column, a fiftieth of a second later."""

    def fit(self, _rows, _target=None):
        self.fitted_ = True
        return self

    def predict(self, rows):
        time.sleep(SECONDS)
        return rows.iloc[:, 0].to_numpy() * 2.0
