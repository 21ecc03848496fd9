"""A trained adapter in the real format: what it is held against, and the name that it answers under."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.commands.models import chosen, serving_choice
from annotator.commands.promoting import serving_before
from annotator.errors import BackendError
from annotator.learning import model_folder
from annotator.schema import ModelVersion
from annotator.store import Store
from backends.fada import FadaBackend
from backends.opening import FADA_BASE, open_backend
from backends.vlm.loading import content_hash
from tests import versions
from tests.tiny_vlm import save_tiny_adapter, save_tiny_checkpoint


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "workspace")
    yield opened
    opened.close()


def an_adapter(store: Store, base: Path) -> ModelVersion:
    save_tiny_checkpoint(base)
    made = store.workspace / "made"
    save_tiny_adapter(made, base)
    digest = content_hash(made)
    name = f"fada-{digest[:8]}"
    folder = model_folder(store.workspace, name)
    folder.parent.mkdir(parents=True)
    made.rename(folder)
    version = ModelVersion(name=name, backend="fada", base=str(base), content_hash=digest, dataset=versions.DATASET)
    store.add_model_version(version)
    return version


def test_an_adapter_answers_under_its_own_name_and_asked_otherwise_as_a_version_of_it(
    store: Store, tmp_path: Path
) -> None:
    version = an_adapter(store, tmp_path / "base")
    versions.promoted(store, version.name, backend="fada")
    default = serving_choice(store, chosen({"backend": "fada", "device": "cpu"}))
    opened = open_backend(default, threads=1)
    assert isinstance(opened, FadaBackend)
    assert opened.model == version
    assert opened.engine.provenance["adapter_sha256"] == version.content_hash
    otherwise = open_backend(default.model_copy(update={"keypoints": True}), threads=1).model
    assert otherwise.name != version.name
    assert otherwise.parent == version.name


def test_the_first_adapter_of_a_base_is_held_against_that_base(store: Store, tmp_path: Path) -> None:
    version = an_adapter(store, tmp_path / "base")
    choice = chosen({"backend": "fada", "device": "cpu"})
    before = serving_before(store, choice, version, None)
    assert (before.model, before.adapter, before.version) == (version.base, None, None)
    published = version.model_copy(update={"base": FADA_BASE})
    assert serving_before(store, choice, published, None) == choice
    later = serving_before(store, choice, version, version.name)
    assert later.version == version
    assert later.adapter == str(model_folder(store.workspace, version.name))


def test_an_adapter_whose_files_were_changed_is_not_loaded(store: Store, tmp_path: Path) -> None:
    version = an_adapter(store, tmp_path / "base")
    versions.promoted(store, version.name, backend="fada")
    folder = model_folder(store.workspace, version.name)
    save_tiny_adapter(folder, tmp_path / "base", seed=1)
    with pytest.raises(BackendError, match="are not those it was made with"):
        open_backend(serving_choice(store, chosen({"backend": "fada"})), threads=1)
