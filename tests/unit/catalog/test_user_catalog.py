"""A user's file adds rows and changes them; what it misspells is refused with what is near."""

from pathlib import Path

import pytest

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.tables import VARIABLE
from tracekit.errors import CatalogInvalid, UnknownName

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def extended(tmp_path):
    def by(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        catalog.use(path)
        return path

    yield by
    catalog.use(None)


def test_a_new_gpu_starts_from_another(extended):
    path = extended('[gpu.MyCard]\nlike = "l40s"\naliases = ["card 1"]\nmemory_gb = 32\nusd_per_hour = 0.5')
    gpu, like = catalog.gpu("CARD 1"), catalog.gpu("L40S")
    assert (gpu.name, gpu.memory_gb, gpu.tdp_w) == ("MyCard", 32, like.tdp_w)
    assert gpu.sources["memory_gb"].startswith(str(path))
    assert gpu.sources["tdp_w"] == like.sources["tdp_w"]
    assert (gpu.price.low, gpu.price.typical, gpu.price.high) == (0.5, 0.5, 0.5)
    assert "MyCard" in catalog.names("gpus")


def test_a_known_gpu_is_changed_under_any_of_its_names(extended):
    before = catalog.gpu("H100")
    extended('[gpu.h100]\ntdp_w = 500\nsource = "our limit"\ndate = "2026-10"\n[price.H100]\ntypical = 1.5')
    gpu = catalog.gpu("NVIDIA H100 80GB HBM3")
    assert (gpu.name, gpu.tdp_w, gpu.memory_gb) == (before.name, 500, before.memory_gb)
    assert gpu.sources["tdp_w"] == "our limit (2026-10)"
    assert gpu.price.typical == 1.5
    assert gpu.aliases == before.aliases


def test_a_model_and_a_grid(extended):
    extended(
        '[model.Mine]\nlike = "Llama-3.1-8B"\nmax_model_len = 4096\nprecision = "fp8"\n'
        '[grid.dam]\nname = "our dam"\nlow = 4\nhigh = 11\nsource = "operator"\ndate = "2026"'
    )
    model = catalog.model("mine")
    assert (model.name, model.max_model_len, model.precision) == ("Mine", 4096, "fp8")
    assert model.parameters == catalog.model("Llama-3.1-8B").parameters
    assert catalog.find_model("meta-llama/Llama-3.1-8B-Instruct").name == "Llama-3.1-8B"
    assert (catalog.grid("Our Dam").low, catalog.grid("dam").high) == (4, 11)


def test_the_environment_names_a_file_and_the_option_wins(extended, tmp_path, monkeypatch):
    standing = tmp_path / "standing.toml"
    standing.write_text("[price.H100]\ntypical = 9\n[price.H200]\ntypical = 8")
    monkeypatch.setenv(VARIABLE, str(standing))
    assert catalog.gpu("H100").price.typical == 9
    extended("[price.H100]\ntypical = 7")
    assert (catalog.gpu("H100").price.typical, catalog.gpu("H200").price.typical) == (7, 8)


def test_without_a_file_the_catalog_is_as_shipped(extended):
    extended("[price.H100]\ntypical = 9")
    catalog.use(None)
    assert catalog.gpu("H100").price.typical == 2.95


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[gpu.L40S]\ntpd_w = 300", UnknownName, "Did you mean tdp_w"),
        ("[gpus.L40S]\ntdp_w = 300", UnknownName, "Did you mean gpu"),
        ("[price.H1000]\ntypical = 1", UnknownName, "Did you mean"),
        ("[price.H100]\nlow = 1", CatalogInvalid, "has no 'typical'"),
        ("[price.H100]\ntypical = 'cheap'", CatalogInvalid, "'cheap'"),
        ("[gpu]\ntdp_w = 300", CatalogInvalid, r"\[gpu.NAME\]"),
        ("[gpu.New]\ntdp_w = 300", CatalogInvalid, "has no 'memory_gb'"),
        ("[gpu.New]\nlike = 'L40S'\ntdp_w = 0", CatalogInvalid, "above 0"),
        ("[gpu.New]\nlike = 'L4000'", UnknownName, "New is like 'L4000'"),
        ("[gpu.New]\nlike = 'L40S'\naliases = ['H100']", CatalogInvalid, "means H100-SXM-80GB already"),
        ("[model.New]\nlayers = 4", CatalogInvalid, "has no 'parameters'"),
        ("[model.New]\nlike = 'Llama-3.1-8B'\nlayers = '4'", CatalogInvalid, "layers = '4'"),
        ("[grid.X]\nlow = 3", CatalogInvalid, "has no 'high'"),
        ("[grid.X]\nlow = 0\nhigh = 1", CatalogInvalid, "low = 0"),
        ("[gpu.L40S", CatalogInvalid, "cannot be used"),
    ],
)
def test_what_a_file_cannot_say(extended, text, error, words):
    with pytest.raises(error, match=words):
        read_all(extended, text)


def read_all(extended, text):
    extended(text)
    for kind, read in (("gpus", catalog.gpu), ("models", catalog.model), ("grids", catalog.grid)):
        for name in catalog.names(kind):
            read(name)


def test_the_example_of_the_documentation(extended):
    page = (DOCS / "catalog.md").read_text()
    extended(page.split("```toml\n")[1].split("```")[0])
    assert catalog.gpu("NVIDIA GeForce RTX 5090").memory_gb == 32
    assert catalog.gpu("H100").tdp_w == 500
    assert catalog.gpu("H200").price.typical == 2.3
    assert catalog.model("My-Llama").max_model_len == 32768
    assert catalog.grid("hydro").high == 11


def test_the_documentation_counts_right():
    counts = [f"{len(catalog.names(kind))} {word}" for kind, word in (("gpus", "GPUs"), ("models", "models"))]
    counts.append(f"{len(catalog.names('grids'))} grids")
    assert ", ".join(counts) in " ".join((DOCS / "catalog.md").read_text().split())
