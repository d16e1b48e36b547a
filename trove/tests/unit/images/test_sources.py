import pytest

from trove.domain.errors import DriverError
from trove.images import sources
from trove.images.sources import Mirror, Source

DEB822 = """\
# The main archive
Types: deb deb-src
URIs: http://mirror.example/debian/ http://other.example/debian
Suites: bookworm
 bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://src.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://tools.example/apt bookworm main
deb-src http://src.example/debian bookworm main
deb cdrom:[Debian 12]/ bookworm main
deb http://mirror.example/debian bullseye main contrib # comment
deb http://sec.example/debian-security bullseye-security main
"""


def write(folder, **files):
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        (folder / name.replace("__", "/").replace("_dot_", ".")).write_text(text)
    return folder


def test_deb822_is_read_with_continuations_comments_and_switched_off_stanzas():
    assert list(sources.parse_deb822(DEB822)) == [
        Source("http://mirror.example/debian/", "bookworm", ("main",)),
        Source("http://mirror.example/debian/", "bookworm-updates", ("main",)),
        Source("http://other.example/debian", "bookworm", ("main",)),
        Source("http://other.example/debian", "bookworm-updates", ("main",)),
        Source("http://mirror.example/debian-security", "bookworm-security", ("main",)),
    ]


def test_one_line_entries_are_read_with_options_and_comments():
    found = list(sources.parse_one_line(ONE_LINE))
    assert found[0] == Source("http://tools.example/apt", "bookworm", ("main",))
    assert found[-2:] == [
        Source("http://mirror.example/debian", "bullseye", ("main", "contrib")),
        Source("http://sec.example/debian-security", "bullseye-security", ("main",)),
    ]
    assert all("commented" not in source.uri and "src." not in source.uri for source in found)


def test_the_host_s_files_are_all_read_and_others_left(tmp_path):
    write(
        tmp_path,
        sources_dot_list="",
        sources_dot_list_dot_d__debian_dot_sources=DEB822,
        sources_dot_list_dot_d__off_dot_sources_dot_disabled="Types: deb\nURIs: http://bad/debian\nSuites: trixie\n",
    )
    found = sources.find_mirror(sources.read_host(tmp_path))
    assert found == Mirror("http://mirror.example/debian", "http://mirror.example/debian-security")


def test_an_older_release_s_security_suite_is_known():
    listed = [
        Source("http://a.example/debian", "buster", ("main",)),
        Source("http://a.example/debian", "oldstable", ("main",)),
        Source("http://s.example/debian-security", "oldstable/updates", ("main",)),
    ]
    assert sources.find_mirror(listed) == Mirror("http://a.example/debian", "http://s.example/debian-security")


def test_a_host_without_debian_says_what_to_do(tmp_path):
    listed = [Source("http://archive.example/ubuntu", "jammy", ("main",)), Source("http://x", "bookworm", ("contrib",))]
    with pytest.raises(DriverError, match=r"name no Debian archive.*--mirror"):
        sources.find_mirror(listed)
    with pytest.raises(DriverError, match="--mirror"):
        sources.find_mirror(sources.read_host(tmp_path))


@pytest.mark.parametrize(
    ("text", "main", "security"),
    [
        ("http://m.example/debian", "http://m.example/debian", "http://m.example/debian-security"),
        ("http://m.example/debian/", "http://m.example/debian", "http://m.example/debian-security"),
        ("file:/srv/debian http://s.example/sec/", "file:/srv/debian", "http://s.example/sec"),
        ("mirror+file:/etc/m.list", "mirror+file:/etc/m.list", "mirror+file:/etc/m.list-security"),
    ],
)
def test_a_mirror_given_by_hand(text, main, security):
    assert sources.parse_mirror(text) == Mirror(main, security)


@pytest.mark.parametrize("text", ["", "m.example/debian", "http://a http://b http://c", "http://u:p@a b"])
def test_a_mirror_that_is_none_is_refused_without_showing_passwords(text):
    with pytest.raises(DriverError, match="is no mirror") as caught:
        sources.parse_mirror(text)
    assert "u:p" not in str(caught.value)


def test_the_sources_of_a_suite(tmp_path):
    mirror = Mirror("http://m/debian", "http://s/sec")
    key = tmp_path / "k.gpg"
    assert sources.sources_list(mirror, "bullseye", frozenset(), key).splitlines() == [
        f"deb [signed-by={key}] http://m/debian bullseye main",
        f"deb [signed-by={key}] http://m/debian bullseye-updates main",
        f"deb [signed-by={key}] http://s/sec bullseye-security main",
    ]
    assert sources.sources_list(mirror, "forky", frozenset({"security", "updates"}), key).count("\n") == 1


def test_only_download_settings_are_taken_from_the_host():
    dump = (
        'APT::Update::Post-Invoke:: "rm -rf /";\nAcquire "";\nAcquire::http::Proxy "http://p:3128";\n'
        'Acquire::https::Proxy::m.example "DIRECT";\nAcquire::Retries "5";\nAcquire::Languages "de";\n'
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "true";\n'
    )
    assert sources.proxy_settings(dump).splitlines() == [
        'Acquire::http::Proxy "http://p:3128";',
        'Acquire::https::Proxy::m.example "DIRECT";',
        'Acquire::Retries "5";',
    ]
