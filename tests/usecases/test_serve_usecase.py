"""The bundle runs, and not the package of the same name in the folder that one stands in."""

from __future__ import annotations

import subprocess

from mlpack.usecases.serve import on_folder

PRINT = "import sys; print({who!r}, sys.argv[1:])"


def test_the_bundle_comes_before_a_flat_project(tmp_path):
    for who in ("bundle", "project"):
        package = tmp_path / who / "churn"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(PRINT.format(who=who))
    made = on_folder(tmp_path / "bundle", "churn", ("serve", "--port", "1"))
    done = subprocess.run(
        made.argv,
        env=made.env,
        cwd=tmp_path / "project",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "bundle ['serve', '--port', '1']\n"
