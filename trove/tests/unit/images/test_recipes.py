import dataclasses

import pytest

from trove.domain.errors import DriverError
from trove.images import apt, recipes
from trove.images.apt import Archive
from trove.images.builder import Builder, image_digest
from trove.images.store import default_images_dir


@pytest.mark.parametrize(
    ("package", "engine"),
    [
        ("1:10.11.19-0+deb12u1", "10.11.19"),
        ("5:7.0.15-1~deb12u7", "7.0.15"),
        ("8.1.1+dfsg1-3+deb13u2", "8.1.1"),
        ("9.1.2~rc1-1", "9.1.2"),
        ("1.2-3-4", "1.2-3"),
        ("6.0", "6.0"),
    ],
)
def test_the_engine_s_version_is_the_package_s_without_debian_marks(package, engine):
    assert recipes.engine_version(package) == engine


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_complete(name):
    recipe = recipes.load(name)
    engine, version = name.split("-")
    assert recipe.engine_package in recipe.packages
    assert recipe.engine_package.startswith(engine)
    assert "python3" in recipe.packages
    assert bool(recipe.template) == (engine == "mariadb")
    assert not any(recipe.skips(package) for package in recipe.packages), version


def test_digests_tell_recipes_apart():
    digests = {recipes.load(name).digest for name in recipes.names()}
    assert len(digests) == len(recipes.names())


def test_an_unknown_recipe_names_the_known_ones(tmp_path):
    with pytest.raises(DriverError, match=r"no image recipe 'oracle-23'; known recipes: mariadb-10\.11, .*valkey-9\.1"):
        Builder(tmp_path).ensure("oracle-23", print)


def test_skipping_goes_by_pattern():
    recipe = recipes.load("redis-7.0")
    assert [name for name in ("perl-base", "libfoo-perl", "dpkg", "python3", "libpam0g") if recipe.skips(name)] == [
        "perl-base", "libfoo-perl", "dpkg",
    ]  # fmt: skip


def test_apt_s_list_is_read_with_escaped_epochs():
    digest = "a" * 64
    text = (
        "Reading package lists...\n"
        f"'http://m/pool/r/redis-tools_7.0.15-1_amd64.deb' redis-tools_5%3a7.0.15-1_amd64.deb 1000 SHA256:{digest}\n"
        f"'http://m/pool/n/netbase_6.4_all.deb' netbase_6.4_all.deb 20 SHA256:{digest}\n"
    )
    assert apt.parse_uris(text) == [
        Archive("redis-tools", "5:7.0.15-1", "redis-tools_5%3a7.0.15-1_amd64.deb", 1000, digest),
        Archive("netbase", "6.4", "netbase_6.4_all.deb", 20, digest),
    ]
    assert apt.parse_uris(text)[0].pin == "redis-tools=5:7.0.15-1"


def test_an_image_s_name_depends_on_recipe_and_versions_not_on_their_order():
    recipe = recipes.load("redis-7.0")
    one, two = Archive("a", "1", "a.deb", 1, "x"), Archive("b", "2", "b.deb", 1, "y")
    same = image_digest(recipe, [one, two])
    assert len(same) == 12
    assert image_digest(recipe, [two, one]) == same
    assert image_digest(recipe, [one, dataclasses.replace(two, version="3")]) != same
    assert image_digest(dataclasses.replace(recipe, digest="other"), [one, two]) != same


def test_only_complete_directories_are_images(tmp_path):
    (tmp_path / "images/.build-redis-7.0-x/rootfs").mkdir(parents=True)
    (tmp_path / "images/redis-7.0-aaa").mkdir()
    (tmp_path / "images/redis-7.0-bbb").mkdir()
    (tmp_path / "images/redis-7.0-bbb/image.json").write_text("{}")
    builder = Builder(tmp_path)
    assert builder.list() == []
    assert builder.find("redis-7.0") is None
    assert builder.get("redis-7.0-bbb") is None
    assert builder.get("../images/redis-7.0-bbb") is None
    builder.delete("redis-7.0-aaa")


def test_an_image_somebody_needs_is_not_deleted(tmp_path):
    folder = tmp_path / "images/redis-7.0-aaa"
    (folder / "rootfs").mkdir(parents=True)
    meta = '{"recipe": "redis-7.0", "engine_version": "7.0.15", "packages": {}, "size_mb": 1, "created": "x"}'
    (folder / "image.json").write_text(meta)
    with pytest.raises(DriverError, match="in use by shop-1, shop-2; upgrade or delete those first"):
        Builder(tmp_path, users=lambda image_id: ["shop-1", "shop-2"]).delete("redis-7.0-aaa")
    builder = Builder(tmp_path)
    assert [image.id for image in builder.list()] == ["redis-7.0-aaa"]
    builder.delete("redis-7.0-aaa")
    assert not folder.exists()
    assert builder.list() == []


def test_where_images_are_kept(tmp_path, monkeypatch):
    assert str(default_images_dir({"TROVE_TEST_IMAGES": "/x/images"})) == "/x/images"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert str(default_images_dir({"HOME": "/home/u"})) == "/home/u/.cache/trove-anywhere/images"
    assert str(default_images_dir({"XDG_CACHE_HOME": "/c", "HOME": "/h"})) == "/c/trove-anywhere/images"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert str(default_images_dir({"HOME": "/root"})) == "/var/cache/trove-anywhere/images"
