"""The demo's pictures: the same call gives the same bytes, and every species can be told apart in them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from offline import scenes, sprites
from offline.sites import SITES
from offline.water import HEIGHT, WIDTH


def read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jpg"))}


def test_there_are_sixteen_species_by_default_and_up_to_twenty() -> None:
    assert len(scenes.list_species()) == 16
    assert len(set(scenes.SPECIES.values())) == len(scenes.list_species(20)) == 20
    with pytest.raises(ValueError, match="1 to 20 species, not of 21"):
        scenes.list_species(21)


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        paths = scenes.make_images(tmp_path / folder, ["crab", "seal"], 3, seed=7)
        assert [path.parent.name for path in paths] == ["crab"] * 3 + ["seal"] * 3
    assert read(tmp_path / "one") == read(tmp_path / "two")
    assert len(set(read(tmp_path / "one").values())) == 6


def test_a_picture_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    scenes.make_images(tmp_path / "alone", ["whale"], 1, seed=3)
    scenes.make_images(tmp_path / "many", ["crab", "whale"], 2, seed=3)
    name = "whale/reef-3-0000.jpg"
    assert read(tmp_path / "alone")[name] == read(tmp_path / "many")[name]


def test_the_wreck_is_darker_and_flatter_than_the_reef(tmp_path: Path) -> None:
    means, spreads = {}, {}
    for site in SITES:
        paths = scenes.make_images(tmp_path / site, scenes.list_species(), 4, seed=1, site=site)
        pixels = np.stack([np.asarray(Image.open(path), np.float32) for path in paths])
        assert pixels.shape[1:] == (HEIGHT, WIDTH, 3)
        means[site], spreads[site] = pixels.mean(), pixels.std(axis=(1, 2)).mean()
    assert means["wreck"] < 0.95 * means["reef"]
    assert spreads["wreck"] < 0.8 * spreads["reef"]


def test_the_box_of_a_scene_is_around_its_animal(tmp_path: Path) -> None:
    for path, box in scenes.make_scenes(tmp_path, ["crab", "octopus"], 2, seed=7):
        assert box.label == path.parent.name
    # The same scene with another animal differs where one of the two is, and blur carries that a little further.
    pictures, boxes = zip(
        *(scenes.draw(name, "reef", np.random.default_rng(5)) for name in ("crab", "seal")), strict=True
    )
    crab, seal = (np.asarray(picture, np.int16) for picture in pictures)
    rows, columns = np.nonzero(np.abs(crab - seal).max(axis=-1) > 3)
    blur = 3
    for found, start, end in (
        (columns, [box.left for box in boxes], [box.left + box.width for box in boxes]),
        (rows, [box.top for box in boxes], [box.top + box.height for box in boxes]),
    ):
        assert min(start) - blur <= found.min() <= min(start) + blur
        assert max(end) - blur <= found.max() + 1 <= max(end) + blur


@pytest.mark.parametrize(
    ("name", "site", "message"), [("unicorn", "reef", "no sprite of 'unicorn'"), ("crab", "moon", "no site 'moon'")]
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, name: str, site: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scenes.make_images(tmp_path, [name], 1, seed=1, site=site)


def test_missing_sprites_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sprites, "SPRITES", tmp_path)
    sprites.decoded.cache_clear()
    sprites.premultiplied.cache_clear()
    with pytest.raises(FileNotFoundError, match="make setup"):
        scenes.make_images(tmp_path, ["crab"], 1, seed=1)
