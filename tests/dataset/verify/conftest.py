import pytest
from support_verified import make_folder, make_shards


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A folder's dataset of three samples; not to be changed."""
    return make_folder(tmp_path_factory.mktemp("verified") / "set")


@pytest.fixture(scope="session")
def whole_shards(whole, tmp_path_factory):
    """The same samples in two shards; not to be changed."""
    return make_shards(tmp_path_factory.mktemp("verified") / "shards", whole)
