"""Paths: data come from inside the project, whatever the recipe says."""

from __future__ import annotations

import os

import pytest
from data_recipes import call, recipe

from trxc_runtime.data import DataError, load


@pytest.fixture
def project(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "project" / "data").mkdir(parents=True)
    (tmp_path / "project" / "data" / "shakespeare.txt").write_text("to be")
    return tmp_path / "project"


def refused(project, path) -> DataError:
    with pytest.raises(DataError) as caught:
        load(recipe(call("Text", path=path)), root=project)
    return caught.value


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "data/../../secret.txt", "../*.txt", "/etc/passwd", "/etc/*", "C:\\data.txt", "C:data", ""],
)
def test_paths_that_lead_outside(project, path):
    assert "leads outside the project" in refused(project, path).message


@pytest.mark.parametrize("path", ["data/link.txt", "data/*.txt", "linked/secret.txt", "link*/secret.txt"])
def test_links_that_lead_outside(project, path):
    (project / "data" / "link.txt").symlink_to(project.parent / "secret.txt")
    (project / "linked").symlink_to(project.parent)
    assert "leads outside the project" in refused(project, path).message


def test_links_that_stay_inside_are_followed(project):
    (project / "data" / "link.md").symlink_to(project / "data" / "shakespeare.txt")
    data = load(recipe(call("Text", path="data/*.md")), root=project)
    assert data.split("train").table.strings("text").values == ["to be"]


def test_file_that_does_not_exist_suggests_the_one_that_does(project):
    error = refused(project, "data/shakespear.txt")
    assert error.message == '"data/shakespear.txt" does not exist'
    assert "did you mean `shakespeare.txt`?" in error.hints


def test_pattern_that_matches_nothing(project):
    assert refused(project, "data/*.md").message == 'no file matches "data/*.md"'


def test_folder_where_a_file_is_needed(project):
    assert "is a folder" in refused(project, "data").message


def test_pattern_that_is_none(project):
    message = refused(project, "data/a**b").message
    assert "no pattern" in message or "no file matches" in message  # Python 3.13 reads `**` as `*` there


def test_pattern_that_would_search_for_ever(project):
    assert "more than one `**`" in refused(project, "**/**/*.txt").message


def test_text_that_is_no_utf8_names_the_byte(project):
    (project / "data" / "latin.txt").write_bytes("café".encode("latin-1"))
    assert refused(project, "data/latin.txt").message == "latin.txt is not UTF-8 text: byte 3 is 0xe9"


def test_corpus_without_any_text(project):
    (project / "data" / "empty.txt").write_text(" \n")
    assert "holds no text" in refused(project, "data/empty.txt").message


def test_links_in_a_circle(project):
    (project / "a.txt").symlink_to(project / "b.txt")
    (project / "b.txt").symlink_to(project / "a.txt")
    assert refused(project, "a.txt").message.isprintable()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_file_that_may_not_be_read(project):
    (project / "data" / "shakespeare.txt").chmod(0)
    assert "cannot be read" in refused(project, "data/shakespeare.txt").message


def test_names_with_line_ends_stay_on_one_line(project):
    assert "\n" not in refused(project, "data/a\nb.txt").message
