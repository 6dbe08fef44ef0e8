"""The code of titanic: its data, its pipeline, and a transformer that only it has."""
