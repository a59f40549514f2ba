"""What importing the demo costs: nothing of the extra and nothing heavy before it is needed."""

import subprocess
import sys

HEAVY = ["polars", "pyarrow", "numba", "matplotlib", "torch", "numpy", "xllamacpp", "gguf", "openai"]
MODULES = ["agent", "server", "serving", "gateway", "training", "weights", "labels"]


def test_no_module_imports_anything_heavy():
    imports = "; ".join(f"import tracekit.demo.{module}" for module in MODULES)
    code = f"import sys; {imports}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_agent_knows_of_no_recorder():
    code = "import tracekit.demo.agent as agent, tracekit; print({*vars(agent)} & {*tracekit.__all__})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
