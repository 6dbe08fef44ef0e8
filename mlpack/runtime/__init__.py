"""What ships: copied into every artifact, configured by data, importing nothing outside itself.

Inside an artifact this package is ``NAME._mlpack``, so every import in it is relative.
"""

import os

# ONNX Runtime 1.31 sends usage data to its maker unless this is set before it is loaded. What
# serves somebody's model calls nobody. Set it to 0 beforehand to allow it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
