"""A net that does not fit into memory is refused before anything is allocated."""

import pytest

from hierarchy.config import net_limits
from hierarchy.config.overrides import with_settings
from hierarchy.config.recipes import RECIPES, named
from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError
from hierarchy.training.targets import check_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_are_below_the_limits(name):
    recipe = RECIPES[name]
    check_recipe(recipe, any(fit.distillation_weight for fit in recipe.fits))


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("net.stages=[[100000000]]", "net.stages"),
        ("net.stages=[[1000000]]", "net.stages"),
        ("net.stages=[[20000, 20000]]", "net.stages"),
        ("net.stages=[[1], [1, 1, 1, 1]" + ", [1]" * 50 + "]", "net.crop"),
        (f"net.stages=[{[1] * 201}]", "net.stages"),
        ("net.stages=[[2000, 2000]]", "net.stages"),
        ("net.dense=[1000000000]", "net.dense"),
        ("net.dense=[50000, 50000]", "net.dense"),
        ("fit.batch_size=100000", "fit.batch_size"),
        ("fit.batch_size=100000000000000000000", "fit.batch_size"),
        ("fit.epochs=100000000000000000000", "fit.epochs"),
        ("fit.outlier_ratio=1e308", "fit.outlier_ratio"),
        ("augment.rotation=1e300", "augment.rotation"),
        ("net.stages=" + "[" * 50_000, "net.stages"),
        ("name=a\nb", "name"),
    ],
    ids=lambda text: text[:30],
)
def test_numbers_that_allocate_have_a_limit(setting, key):
    with pytest.raises(InputError, match=key) as refusal:
        check_recipe(with_settings(named("sketch"), [setting]), False)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("net.windows=[[4, 4, 44, 49]]", "net.windows"),
        ("net.windows=[[44, 4, 4, 28]]", "net.windows"),
        ("net.windows=[[4, 4, 11, 28]]", "net.windows"),
        ("net.windows=[4, 4, 44, 28]", "net.windows"),
        ("net.windows=[]", "net.windows"),
        ("net.windows=[[4, 4, 44]]", "net.windows"),
        ("net.windows=eyes", "net.windows"),
        ("net.input=eyes", "net.input"),
        ("net.part_stages=[[1000000]]", "net.stages"),
    ],
)
def test_windows_are_inside_the_face_and_large_enough(setting, key):
    with pytest.raises(InputError, match=key) as refusal:
        check_recipe(with_settings(named("parts"), [setting]), False)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


def test_a_blur_needs_a_border_around_windows():
    check_recipe(with_settings(named("parts"), ["net.blur=0.4"]), False)
    with pytest.raises(InputError, match="net.blur.*net.windows"):
        check_recipe(with_settings(named("parts"), ["net.blur=0.4", "net.windows=[[0, 4, 40, 28]]"]), False)


def test_prompts_need_a_text_tower():
    check_recipe(named("clip_vit_b32-zero-shot"), False)
    with pytest.raises(InputError, match="net.prompt"):
        check_recipe(with_settings(named("vgg16"), ["net.prompt=a {} face"]), False)
    with pytest.raises(InputError, match="net.prompt"):
        with_settings(named("clip_vit_b32-zero-shot"), ["net.prompt=a face"])


def test_a_pretrained_backbone_is_limited_by_the_pixels_of_a_batch():
    recipe = with_settings(named("vgg16"), ["net.side=512"])
    check_recipe(recipe, False)
    with pytest.raises(InputError, match="net.side"):
        check_recipe(with_settings(recipe, ["fit.batch_size=65"]), False)


@pytest.mark.parametrize("net", [VGGConfig(((3, 5), (7,)), dense=(11,), head="flatten"), VGGConfig(((4,),))])
def test_the_weights_counted_are_those_of_the_net_without_its_normalisation(net):
    from hierarchy.models import vgg
    from hierarchy.taxonomy import FLAT, LEAVES, Tree

    names = [str(number) for number in range(LEAVES)]
    tree = Tree({"a": names[:1], "b": names[1:]})
    kernels = [weight for weight in vgg.build(tree, FLAT, net).weights if "kernel" in weight.path]
    counted = sum(weights for weights, _, _ in net_limits._layers(*net.windowed_bodies[0]))
    assert counted == sum(int(weight.shape.num_elements()) for weight in kernels)
