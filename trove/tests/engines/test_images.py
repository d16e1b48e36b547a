"""Images from real packages, and builds that are interrupted, starved or lied to."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from trove.domain.errors import DriverError
from trove.images import apt, recipes, sources, store, template
from trove.images.builder import Builder

pytestmark = pytest.mark.engine

ROOT = os.geteuid() == 0
SMALL = "redis-7.0"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Builder(tmp_path_factory.mktemp("unused"), images_dir=store.default_images_dir())


@pytest.fixture
def seeded(tmp_path, shared):
    """A builder of its own whose downloads are there already, so that a build is quick."""
    shared.ensure(SMALL, lambda text: None)
    suite = recipes.load(SMALL).suite
    source = shared.images_dir.parent / "cache/apt" / suite
    if source.is_dir():
        shutil.copytree(source / "archives", tmp_path / "cache/apt" / suite / "archives")
    return Builder(tmp_path)


def inside(image, command: str) -> str:
    line = template.sandbox(Path(image.path), [], ["/bin/sh", "-c", command])
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def leftovers(builder: Builder) -> list[str]:
    return sorted(path.name for path in builder.images_dir.iterdir() if not path.name.startswith(".lock"))


@pytest.mark.parametrize("recipe", recipes.names())
def test_every_image_has_what_it_promises(shared, recipe):
    image = shared.ensure(recipe, lambda text: None)
    engine, line = recipe.split("-")
    assert image.recipe == recipe
    assert image.engine_version.startswith(f"{line}.")
    assert shared.get(image.id) == image == shared.find(recipe)
    assert image in shared.list()
    program = {"mariadb": "/usr/sbin/mysqld"}.get(engine, f"/usr/bin/{engine}-server")
    assert image.engine_version in inside(image, f"{program} --version")
    assert inside(image, "id -un") == "database"
    modules = "ssl, json, http.server, sqlite3, subprocess, hashlib, fcntl, uuid"
    assert inside(image, f"python3 -c 'import {modules}; import sys; print(sys.version_info >= (3, 9))'") == "True"
    assert inside(image, "python3 -c 'import os, json; print(os.path.exists(json.__spec__.cached))'") == "True"
    assert inside(image, "echo a b | awk '{print $2}'; which sh; setpriv --version >/dev/null; hostname >/dev/null")
    if engine == "mariadb":
        tools = "rsync socat ss lsof ps mariadb mysql_upgrade mysqldump wsrep_sst_rsync"
        assert len(inside(image, f"which {tools}").split()) == len(tools.split())
        assert inside(image, "ls /usr/lib/galera/libgalera_smm.so")
        folder = Path(image.path) / template.TEMPLATE
        assert (folder / "mysql").is_dir()
        assert template.has_template(image.path)
    else:
        assert inside(image, f"{engine}-cli --version")


@pytest.mark.parametrize("recipe", recipes.names())
def test_every_image_can_be_read_by_everybody_and_gives_no_rights(shared, recipe):
    image = shared.ensure(recipe, lambda text: None)
    wrong = []
    for folder, folders, files in os.walk(image.path):
        for name in [*folders, *files]:
            mode = os.lstat(os.path.join(folder, name)).st_mode  # noqa: PTH118
            if stat.S_ISLNK(mode):
                continue
            needed = 0o555 if stat.S_ISDIR(mode) else 0o444
            if mode & needed != needed or mode & 0o7022:
                wrong.append((name, oct(mode)))
    assert wrong == []


def test_an_image_that_is_there_costs_nothing(shared):
    shared.ensure(SMALL, lambda text: None)
    said: list[str] = []
    took = []
    for _ in range(5):
        began = time.perf_counter()
        shared.ensure(SMALL, said.append)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.01
    assert said == []


def test_a_build_says_what_it_does_and_a_rebuild_gives_the_same(seeded, shared):
    said: list[str] = []
    image = seeded.ensure(SMALL, said.append)
    assert [sentence.split()[0] for sentence in said] == ["Reading", "Fetching", "Unpacking", "Preparing", "Image"]
    assert leftovers(seeded) == [image.id]
    assert seeded.ensure(SMALL, said.append, refresh=True) == image
    assert image.packages["redis-server"].split(":")[1].startswith(image.engine_version)
    assert image.size_mb > 50
    same = shared.ensure(SMALL, lambda text: None)
    assert (image.id == same.id) == (image.packages == same.packages)


BUILD = """
import sys
from pathlib import Path
from trove.images.builder import Builder
builder = Builder(Path(sys.argv[1]))
image = builder.ensure(sys.argv[2], lambda text: print(text, flush=True))
print(image.id, image.path, flush=True)
"""


@pytest.mark.parametrize("moment", ["Fetching", "Unpacking", "Preparing"])
def test_a_killed_build_leaves_no_image_and_is_cleaned_up(seeded, moment):
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, str(seeded.images_dir.parent), SMALL], stdout=subprocess.PIPE, text=True
    ) as child:
        for sentence in child.stdout:
            if sentence.startswith(moment):
                break
        threading.Event().wait(0.2)
        child.kill()
    assert seeded.list() == []
    assert seeded.find(SMALL) is None
    image = seeded.ensure(SMALL, lambda text: None)
    assert inside(image, "redis-server --version")
    assert leftovers(seeded) == [image.id]


def test_two_processes_build_once(seeded):
    command = [sys.executable, "-c", BUILD, str(seeded.images_dir.parent), SMALL]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as two,
    ):
        said = [one.communicate(timeout=120)[0].splitlines(), two.communicate(timeout=120)[0].splitlines()]
    assert said[0][-1] == said[1][-1]
    assert sorted(len(lines) for lines in said)[0] == 1
    assert len(seeded.list()) == 1


class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes on what the host's own mirror says, except for what a test withholds."""

    upstream = ""
    withheld = ""

    def do_GET(self) -> None:
        base = sources.find_mirror(sources.read_host(Path("/etc/apt")))
        _, _, rest = self.path.lstrip("/").partition("/")
        url = f"{base.security if self.path.startswith('/debian-security/') else base.main}/{rest}"
        if self.withheld and self.withheld in self.path:
            self.send_error(404)
            return
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                body = answer.read()
        except urllib.error.HTTPError as exc:
            exc.close()
            self.send_error(exc.code)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def proxy():
    if not sources.find_mirror(sources.read_host(Path("/etc/apt"))).main.startswith("http"):
        pytest.skip("the host's mirror is not read over HTTP")
    handler = type("Handler", (Proxy,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    handler.address = f"http://user:secret@127.0.0.1:{server.server_port}/debian"
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_archive_that_is_gone_is_a_clear_error_and_leaves_nothing(tmp_path, proxy):
    builder = Builder(tmp_path, mirror=proxy.address)
    proxy.withheld = "redis-tools"
    with pytest.raises(DriverError, match=r"lists packages of bookworm that it does not have: .*redis-tools") as caught:
        builder.ensure(SMALL, lambda text: None)
    assert "secret" not in str(caught.value)
    assert leftovers(builder) == []
    proxy.withheld = ""
    assert builder.ensure(SMALL, lambda text: None).engine_version.startswith("7.0.")


def test_a_mirror_without_the_suite_is_named(tmp_path, proxy):
    proxy.withheld = "/dists/"
    with pytest.raises(DriverError, match="the mirror has no suite 'bookworm'") as caught:
        Builder(tmp_path, mirror=proxy.address).ensure(SMALL, lambda text: None)
    assert "secret" not in str(caught.value)


def test_testing_may_lack_its_security_suite(tmp_path, proxy):
    proxy.withheld = "/dists/forky-security/"
    tree = tmp_path / "tree"
    tree.mkdir()
    mirror = sources.parse_mirror(proxy.address)
    made = apt.AptTree(tree, "forky", mirror, optional_suites=frozenset({"security"}), check_valid_until=False)
    made.update()
    assert any(archive.package == "valkey-server" for archive in made.resolve(["valkey-server"]))
    strict = apt.AptTree(tree, "forky", mirror, check_valid_until=False)
    with pytest.raises(DriverError, match="forky-security"):
        strict.update(force=True)


def test_an_unreachable_mirror_is_explained(tmp_path):
    builder = Builder(tmp_path, mirror="http://127.0.0.1:9/debian")
    with pytest.raises(DriverError, match="check the host's network and apt settings"):
        builder.ensure(SMALL, lambda text: None)
    assert leftovers(builder) == []


def test_a_damaged_archive_is_fetched_again(seeded):
    archives = seeded.images_dir.parent / "cache/apt" / recipes.load(SMALL).suite / "archives"
    if not archives.is_dir():
        seeded.ensure(SMALL, lambda text: None)
        seeded.delete(seeded.list()[0].id)
    victim = next(archives.glob("redis-server_*"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with pytest.raises(DriverError, match="was damaged and has been removed; try again"):
        seeded.ensure(SMALL, lambda text: None)
    assert leftovers(seeded) == []
    assert seeded.ensure(SMALL, lambda text: None)


def test_a_missing_keyring_names_its_package(tmp_path):
    builder = Builder(tmp_path, keyring=tmp_path / "none.gpg")
    with pytest.raises(DriverError, match="install the package 'debian-archive-keyring'"):
        builder.ensure(SMALL, lambda text: None)


def test_a_missing_program_names_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(DriverError, match="the program 'apt-get' is missing on this host: install the package 'apt'"):
        Builder(tmp_path).ensure(SMALL, lambda text: None)


@pytest.fixture
def small_disk(tmp_path):
    if not ROOT:
        pytest.skip("only root can make a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150M", "none", str(folder)], check=False)
    if done.returncode:
        pytest.skip("this host lets us mount nothing")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_at_every_stage_and_leaves_no_image(small_disk, monkeypatch):
    builder = Builder(small_disk)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(60 << 20))
    with pytest.raises(DriverError, match=r"no room on the disk while fetching the package index .*free some space"):
        builder.ensure(SMALL, lambda text: None)
    filler.unlink()
    with pytest.raises(
        DriverError, match=r"no room on the disk while building the image redis-7.0 \(it needs \d+ MB\)"
    ):
        builder.ensure(SMALL, lambda text: None)
    # An estimate that is too low: now the disk is full in the middle of unpacking.
    monkeypatch.setattr("trove.images.builder.GROWTH", 0)
    with pytest.raises(DriverError, match=r"no room on the disk while building the image redis-7.0: free some space"):
        builder.ensure(SMALL, lambda text: None)
    assert leftovers(builder) == []


@pytest.mark.skipif(not ROOT, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_builds_images_too():
    home = Path("/tmp") / f"trove-ordinary-{os.getpid()}"
    home.mkdir(mode=0o700)
    os.chown(home, 54321, 54321)
    try:
        done = subprocess.run(
            ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--inh-caps=-all", sys.executable, "-B",
             "-c", BUILD, str(home), "mariadb-10.11"],
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            capture_output=True, text=True, timeout=180, check=False, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        name = done.stdout.split()[-2]
        meta = json.loads((home / "images" / name / "image.json").read_text())
        assert meta["engine_version"].startswith("10.11.")
        assert (home / "images" / name / "rootfs" / template.TEMPLATE / "mysql").is_dir()
    finally:
        shutil.rmtree(home)
