"""The usual thing: FastAPI, a pydantic model of the columns, and the pickled pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

import uvicorn
from fastapi import FastAPI
from frames import COLUMNS, FACTS, PORT, answers, frame, load
from pydantic import BaseModel, ConfigDict, Field, create_model


def kind(name):
    """The type of a column, with its range or categories, and its default."""
    low, high = FACTS["ranges"].get(name, (None, None))
    if name in FACTS["categories"]:
        found = Literal[tuple(FACTS["categories"][name])]
    else:
        base = int if FACTS["dtypes"][name].startswith("int") else float
        found = Annotated[base, Field(ge=low, le=high)]
    return (found | None, None) if name in FACTS["missing"] else (found, ...)


Row = create_model(
    "Row", __config__=ConfigDict(extra="forbid"), **{name: kind(name) for name in COLUMNS}
)


class Rows(BaseModel):
    """A batch."""

    instances: list[Row]


app = FastAPI()
model = load()


@app.post("/predict")
def predict(row: Row):
    """One row."""
    return {"predictions": answers(model, frame([row.model_dump()]))}


@app.post("/predict-many")
def predict_many(rows: Rows):
    """Several."""
    return {"predictions": answers(model, frame([row.model_dump() for row in rows.instances]))}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, loop="uvloop", http="httptools")
