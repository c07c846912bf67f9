"""What `synthforge fit` says of a folder's other files."""

from click.testing import CliRunner

from synthforge.cli.commands import synthforge
from synthforge.photofit import photographs, run


def test_files_that_are_passed_over_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "pick_head", lambda _: (None, "a head"))
    monkeypatch.setattr(photographs, "find_faces", lambda paths: iter([None] * len(paths)))
    folder = tmp_path / "photos"
    (folder / "folder.png").mkdir(parents=True)
    (folder / "loop.png").symlink_to("loop.png")

    def said():
        result = CliRunner().invoke(
            synthforge, ["fit", str(folder), "--output", str(tmp_path / "a.npz")]
        )
        assert result.exit_code == 2 and "no face was found" in result.output
        assert "Cannot be read: folder.png" in result.output
        return result.output

    assert "Passed over" not in said()
    (folder / "a.heic").touch()
    assert "Passed over: 1 file that is no .png" in said()
    (folder / "b.TIF").touch()
    (folder / "notes").mkdir()
    assert "Passed over: 2 files that are no .png" in said()
