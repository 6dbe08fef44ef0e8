"""Modules of PyTorch and estimators that hold one, for the long tests."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from torch import nn
from torch.nn import functional


def single(X):
    return X.astype(np.float32)


class Layers(nn.Module):
    """Layers with everything that acts otherwise in training."""

    def __init__(self, columns, outputs, *, shares=False, middle=nn.ReLU):
        super().__init__()
        self.shares = shares
        self.layers = nn.Sequential(
            nn.Linear(columns, 32),
            nn.BatchNorm1d(32),
            middle(),
            nn.Dropout(0.3),
            nn.Linear(32, 16),
            middle(),
            nn.Linear(16, outputs),
        )

    def forward(self, X):
        out = self.layers(X)
        return torch.softmax(out, dim=1) if self.shares else out


class Embedded(nn.Module):
    """The first columns are codes of categories; all columns come in double precision."""

    def __init__(self, columns, sizes, outputs=1):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, 4) for size in sizes)
        self.first = nn.Linear(columns + 3 * len(sizes), 24)
        self.last = nn.Linear(24, outputs)

    def forward(self, X):
        X = X.float()
        count = len(self.tables)
        parts = [table(X[:, place].long()) for place, table in enumerate(self.tables)]
        together = torch.cat([*parts, X[:, count:]], dim=1)
        return self.last(torch.tanh(self.first(together)))


class Codes(nn.Module):
    """Nothing but codes, as whole numbers."""

    def __init__(self, sizes, outputs):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, 4) for size in sizes)
        self.last = nn.Linear(4 * len(sizes), outputs)

    def forward(self, X):
        return self.last(torch.cat([t(X[:, i]) for i, t in enumerate(self.tables)], dim=1))


class Images(nn.Module):
    """Eight by eight points."""

    def __init__(self, outputs):
        super().__init__()
        self.filters = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Linear(128, outputs)

    def forward(self, X):
        image = X.reshape(-1, 1, 8, 8)
        found = functional.max_pool2d(torch.relu(self.norm(self.filters(image))), 2)
        return self.last(found.flatten(1))


class Sequence(nn.Module):
    """The columns one after the other."""

    def __init__(self, outputs):
        super().__init__()
        self.filters = nn.Conv1d(1, 8, 3, padding=1)
        self.memory = nn.LSTM(8, 6, batch_first=True)
        self.last = nn.Linear(6, outputs)

    def forward(self, X):
        steps = functional.max_pool1d(torch.relu(self.filters(X.unsqueeze(1))), 2).transpose(1, 2)
        return self.last(self.memory(steps)[0][:, -1])


class Attention(nn.Module):
    """Each column is a word."""

    def __init__(self, outputs):
        super().__init__()
        self.words = nn.Parameter(torch.randn(8) * 0.3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.last = nn.Linear(8, outputs)

    def forward(self, X):
        return self.last(self.layer(X.unsqueeze(-1) * self.words).mean(dim=1))


class Branching(nn.Module):
    """What it does depends on the numbers of all rows."""

    def __init__(self, columns, outputs):
        super().__init__()
        self.layer = nn.Linear(columns, outputs)

    def forward(self, X):
        out = self.layer(X)
        return out * 2 if out.sum() > 0 else out


class AcrossRows(nn.Module):
    """Each row's answer depends on the others."""

    def __init__(self, columns, outputs):
        super().__init__()
        self.layer = nn.Linear(columns, outputs)

    def forward(self, X):
        out = self.layer(X)
        return out - out.mean(dim=0)


class Tables(nn.Module):
    """It answers a table for each row."""

    def forward(self, X):
        return X.unsqueeze(-1) * torch.ones(3)


def learned(module, X, y, loss, steps=60):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    module.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(module(X), y).backward()
        optimizer.step()
    return module.eval()


class Silent(ClassifierMixin, BaseEstimator):
    """A classifier around a module, which does not say what it is in a graph."""

    def fit(self, X, y):
        rows = torch.as_tensor(np.asarray(X, dtype=np.float32))
        self.classes_, codes = np.unique(y, return_inverse=True)
        torch.manual_seed(0)
        module = Layers(rows.shape[1], len(self.classes_))
        self.module_ = learned(module, rows, torch.as_tensor(codes), functional.cross_entropy)
        return self

    def predict_proba(self, X):
        with torch.no_grad():
            said = self.module_(torch.as_tensor(np.asarray(X, dtype=np.float32)))
            return torch.softmax(said, dim=1).numpy()

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Spoken(Silent):
    def __mlpack_export__(self, X, graph):
        return graph.node("Softmax", graph.module(self.module_, X.astype(np.float32)), axis=1)


class Double(RegressorMixin, BaseEstimator):
    """A regressor in double precision, one number a row without a second axis."""

    def fit(self, X, y):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(X.shape[1], 16), nn.SiLU(), nn.Linear(16, 1)).double()
        module.append(nn.Flatten(0))
        rows = torch.as_tensor(np.asarray(X, dtype=np.float64))
        wanted = torch.as_tensor(np.asarray(y, dtype=np.float64))
        self.module_ = learned(module, rows, wanted, functional.mse_loss)
        return self

    def predict(self, X):
        with torch.no_grad():
            return self.module_(torch.as_tensor(np.asarray(X, dtype=np.float64))).numpy()

    def __mlpack_export__(self, X, graph):
        return graph.module(self.module_, X)


class Shortened(TransformerMixin, BaseEstimator):
    """Fewer columns, by a module."""

    def fit(self, X, y=None):
        torch.manual_seed(0)
        self.module_ = nn.Sequential(nn.Linear(X.shape[1], 4), nn.Tanh()).eval()
        return self

    def transform(self, X):
        with torch.no_grad():
            said = self.module_(torch.as_tensor(np.asarray(X, dtype=np.float32)))
        return said.numpy().astype(np.float64)

    def __mlpack_export__(self, X, graph):
        return graph.module(self.module_, X.astype(np.float32)).astype(np.float64)
