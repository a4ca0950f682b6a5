"""Folders that others could write to are not used."""

import contextlib
import os
from types import SimpleNamespace

import pytest
from kernel_caches import stat_mode

from neocog.private_folder import private_folder


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
class TestPrivateFolder:
    def test_missing_levels_are_made_for_this_user_alone(self, tmp_path):
        before = os.umask(0)
        try:
            made = private_folder(tmp_path / "a" / "b")
        finally:
            os.umask(before)
        assert [stat_mode(made), stat_mode(made.parent)] == [0o700, 0o700]
        assert private_folder(made) == made

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o775, 0o777])
    @pytest.mark.parametrize("level", ["a", "a/b", "a/b/c"])
    def test_others_may_write_to_no_level(self, tmp_path, monkeypatch, level, mode):
        group = SimpleNamespace(gr_name="staff", gr_mem=[])
        monkeypatch.setattr("grp.getgrgid", lambda _number: group)
        private_folder(tmp_path / "a" / "b" / "c")
        (tmp_path / level).chmod(mode)
        with pytest.raises(PermissionError, match=f"chmod go-w {tmp_path / level}"):
            private_folder(tmp_path / "a" / "b" / "c")

    @pytest.mark.parametrize(
        ("name", "members", "allowed"),
        [("me", [], True), ("me", ["me"], True), ("me", ["you"], False), ("us", [], False)],
    )
    def test_a_group_of_this_user_alone_is_no_other(
        self, tmp_path, monkeypatch, name, members, allowed
    ):
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(0o775)
        user = SimpleNamespace(pw_name="me", pw_gid=(tmp_path / "a").stat().st_gid)
        group = SimpleNamespace(gr_name=name, gr_mem=members)
        monkeypatch.setattr("pwd.getpwuid", lambda _number: user)
        monkeypatch.setattr("grp.getgrgid", lambda _number: group)
        with contextlib.nullcontext() if allowed else pytest.raises(PermissionError):
            private_folder(tmp_path / "a")

    def test_reading_is_allowed(self, tmp_path):
        (tmp_path / "a").mkdir(mode=0o755)
        private_folder(tmp_path / "a")

    def test_a_shared_folder_for_temporary_files_may_be_above_it(self, tmp_path):
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared").chmod(0o1777)
        private_folder(tmp_path / "shared" / "own")
        with pytest.raises(PermissionError):
            private_folder(tmp_path / "shared")

    def test_links_are_followed_once_and_what_they_name_is_looked_at(self, tmp_path):
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        (tmp_path / "link").symlink_to("open")
        with pytest.raises(PermissionError):
            private_folder(tmp_path / "link" / "own")
        (tmp_path / "open").chmod(0o700)
        assert private_folder(tmp_path / "link" / "own") == (tmp_path / "open" / "own").resolve()

    def test_another_users_folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4321)
        if os.getuid() == 0:  # what is root's is anyone's to trust
            os.chown(tmp_path, 7654, -1)
        with pytest.raises(PermissionError, match="belongs to another user"):
            private_folder(tmp_path / "a")
        assert not (tmp_path / "a").exists()

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(NotADirectoryError):
            private_folder(tmp_path / "file" / "a")
