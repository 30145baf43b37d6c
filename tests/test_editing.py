"""Editing a frame: what is clicked, painted and dragged moves, and comes out so in the variant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blurdepth.camera import ScaleAssumption
from blurdepth.editing import Desk
from blurdepth.errors import InputError, NotFoundError
from blurdepth.generation import GenerationRequest, generate, preview
from blurdepth.prompts import Condition
from blurdepth.setups import Setup
from blurdepth.workspace import Workspace
from tests.conftest import street_frame


@pytest.fixture
def desk(tmp_path: Path, tiny_model: Path) -> Desk:
    workspace = Workspace(tmp_path)
    frame = workspace.add_frame(street_frame(), "street.png")
    return Desk(workspace, frame, str(tiny_model), Setup(frame.id), Condition(exposure_s=0.1))


def painted(desk: Desk, number: int | None = None, x: float = 60.0) -> Desk:
    return replace(desk, setup=desk.paint(number, [(x, 40.0), (x + 30, 44.0)], 8.0, erase=False))


def test_what_is_painted_becomes_a_mover(desk: Desk) -> None:
    after = painted(desk)
    assert list(after.setup.velocities_mps) == [1]
    assert after.ids[40, 60] == 1 and after.ids[44, 90] == 1 and after.ids[70, 60] == 0


def test_painting_again_adds_and_erasing_takes_away(desk: Desk) -> None:
    once = painted(desk)
    twice = painted(once, 1, x=100.0)
    assert twice.ids[40, 60] == twice.ids[40, 100] == 1
    wiped = replace(twice, setup=twice.paint(1, [(60.0, 40.0), (92.0, 44.0)], 12.0, erase=True))
    assert wiped.ids[40, 60] == 0 and wiped.ids[44, 125] == 1


def test_a_mover_wiped_away_wholly_is_gone(desk: Desk) -> None:
    two = painted(painted(desk), None, x=140.0)
    wiped = replace(two, setup=two.paint(1, [(40.0, 40.0), (110.0, 44.0)], 24.0, erase=True))
    assert list(wiped.setup.velocities_mps) == [2]
    assert not (wiped.ids == 1).any() and (wiped.ids == 2).any()


def test_clicking_twice_chooses_once(desk: Desk) -> None:
    once = painted(desk)
    assert once.choose((75.0, 42.0)) == once.setup


def test_only_a_mover_that_is_there_can_be_painted_on(desk: Desk) -> None:
    for number in (0, -1, 7, 300):
        with pytest.raises(InputError, match="not there any more"):
            painted(desk, number)


def test_a_mover_too_small_for_the_preview_is_left_out_of_it(desk: Desk) -> None:
    small = replace(desk, setup=desk.paint(None, [(61.0, 40.0), (66.0, 40.0)], 1.0, erase=False))
    request = GenerationRequest("", model=desk.model, condition=desk.condition, setup=small.setup)
    assert preview(desk.workspace, desk.frame, request, 8).shape == (3, 8, 3)


def test_dragging_the_arrow_sets_where_to(desk: Desk) -> None:
    once = painted(desk)
    (x, y), _ = once.view.arrow(once.ids == 1, (0.0, 0.0, 0.0))
    right, down, forward = once.drag(1, (x + 12, y)).velocities_mps[1]
    assert right > 0 and (down, forward) == (0.0, 0.0)
    assert once.drag(1, (x, y + 6)).velocities_mps[1][2] < 0


def test_speed_keeps_the_heading(desk: Desk) -> None:
    once = painted(desk)
    before = np.array(once.setup.velocities_mps[1])
    after = np.array(once.speed(1, 20.0).velocities_mps[1])
    assert np.linalg.norm(after) == pytest.approx(20)
    assert after / 20 == pytest.approx(before / np.linalg.norm(before))


@pytest.mark.parametrize("speed", [-1.0, 61.0, float("nan")])
def test_a_speed_that_nothing_has_is_refused_with_its_value(desk: Desk, speed: float) -> None:
    with pytest.raises(InputError, match=f"The speed is {speed:g} m/s: use 0 to 60"):
        painted(desk).speed(1, speed)


def test_removing_one_leaves_the_others(desk: Desk) -> None:
    two = painted(painted(desk), None, x=140.0)
    after = replace(two, setup=two.remove(1))
    assert list(after.setup.velocities_mps) == [2]
    assert set(np.unique(after.ids)) == {0, 2}
    none = replace(after, setup=after.remove(2))
    assert none.setup.ids == "" and not none.ids.any()


@pytest.mark.parametrize(
    "act", [lambda desk: desk.drag(3, (1, 1)), lambda desk: desk.remove(3), lambda d: d.speed(3, 1)]
)
def test_a_mover_that_is_not_there_is_named(desk: Desk, act) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="Mover 3"):
        act(desk)


def test_a_click_outside_is_refused(desk: Desk) -> None:
    with pytest.raises(InputError, match="outside the frame"):
        desk.choose((5000.0, 3.0))


def test_the_scale_is_kept_with_the_setup_and_changes_the_metres(desk: Desk) -> None:
    higher = replace(desk, setup=desk.assume(ScaleAssumption(camera_height_m=3.3)))
    assert higher.view.inverse_depth.max() == pytest.approx(desk.view.inverse_depth.max() / 2, rel=0.03)
    kept = desk.workspace.store.setups.add(higher.setup)
    assert desk.workspace.setup(desk.frame.id, kept.id) == higher.setup


def test_a_setup_is_only_for_its_frame(desk: Desk) -> None:
    kept = desk.workspace.store.setups.add(painted(desk).setup)
    other = desk.workspace.add_frame(street_frame(seed=1), "other.png")
    with pytest.raises(InputError, match="another frame"):
        desk.workspace.setup(other.id, kept.id)
    with pytest.raises(NotFoundError, match="choose who moves again"):
        desk.workspace.setup(other.id, "nonsense")


def test_what_moves_by_hand_is_what_moves_in_the_variant(desk: Desk) -> None:
    once = painted(desk)
    request = GenerationRequest("light fog", variants=2, model=desk.model, setup=once.setup, condition=desk.condition)
    for sample in generate(desk.workspace, desk.frame, request):
        (moved,) = sample.provenance["motion"]["objects"]
        assert moved == {"id": 1, "translation_m": [each * 0.1 for each in once.setup.velocities_mps[1]]}
        assert sample.provenance["movers_by_hand"] == once.setup.to_json()


def test_variants_by_hand_are_others_than_those_by_words(desk: Desk) -> None:
    words = GenerationRequest("light fog, motion blur", variants=1, model=desk.model)
    by_words = next(generate(desk.workspace, desk.frame, words))
    by_hand = next(generate(desk.workspace, desk.frame, replace(words, setup=painted(desk).setup)))
    by_chip = next(generate(desk.workspace, desk.frame, replace(words, condition=Condition(pan_deg=2.0))))
    assert len({by_words.id, by_hand.id, by_chip.id}) == 3
    assert by_chip.provenance["condition_by_hand"]["pan_deg"] == 2.0


def test_the_preview_is_the_first_variant_made_small(desk: Desk) -> None:
    request = GenerationRequest(
        "light fog", variants=1, seed=1, model=desk.model, setup=painted(desk).setup, condition=desk.condition
    )
    sample = next(generate(desk.workspace, desk.frame, request))
    full = preview(desk.workspace, desk.frame, request, desk.frame.width)
    assert np.array_equal(full, desk.workspace.pictures.picture(sample.image))
    small = preview(desk.workspace, desk.frame, request, 98)
    assert small.shape == (42, 98, 3)
    reduced = full.reshape(42, 2, 98, 2, 3).mean((1, 3))
    assert np.abs(small - reduced).mean() < 6
