"""What is known of each teacher: where its file comes from, under which licence, what FADA takes from it.

FADA hooks three blocks of each (numbered from 0) and weighs the teachers .40, .25, .20, .15. Sizes are those of the
published files; none of the files ships with this tool, each is opt-in.
"""

from dataclasses import dataclass
from typing import Literal

Format = Literal["fetal_clip", "ultra_sam", "mae"]

# No teacher's class token is taken: UltraSAM has none, and the student's vision blocks have none either.
POOLING = "mean of patch tokens"


@dataclass(frozen=True)
class Architecture:
    """Size of a vision transformer; `out` is the width behind CLIP's projection or SAM's neck, else 0.

    `window` and `global_blocks` are SAM's: other blocks attend within windows of that many patches a side.
    """

    width: int
    depth: int
    heads: int
    mlp: int
    patch: int
    image_size: int
    eps: float
    out: int = 0
    window: int = 0
    global_blocks: tuple[int, ...] = ()

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch


VIT_L_14 = Architecture(width=1024, depth=24, heads=16, mlp=4096, patch=14, image_size=224, eps=1e-5, out=768)
SAM_B = Architecture(
    width=768,
    depth=12,
    heads=12,
    mlp=3072,
    patch=16,
    image_size=1024,
    eps=1e-6,
    out=256,
    window=14,
    global_blocks=(2, 5, 8, 11),
)
VIT_B_16 = Architecture(width=768, depth=12, heads=12, mlp=3072, patch=16, image_size=224, eps=1e-6)


@dataclass(frozen=True)
class TeacherRecord:
    """One teacher; `containers` are the keys of the file that may hold its weights, "" for a bare state dict.

    `weight` is its share in FADA's feature loss. `blocks` are counted from 0; features are `dim` wide.
    """

    name: str
    title: str
    format: Format
    architecture: Architecture
    blocks: tuple[int, ...]
    weight: float
    containers: tuple[str, ...]
    file_name: str
    source: str
    licence: str
    non_commercial: bool
    preprocessing: str
    citation: str

    @property
    def dim(self) -> int:
        """Width of a feature vector: that of the blocks."""
        return self.architecture.width

    @property
    def image_size(self) -> int:
        """Side in pixels of the square that the teacher sees."""
        return self.architecture.image_size


FETAL_CLIP = TeacherRecord(
    name="fetal_clip",
    title="FetalCLIP",
    format="fetal_clip",
    architecture=VIT_L_14,
    blocks=(7, 15, 23),
    weight=0.40,
    containers=("state_dict", ""),
    file_name="FetalCLIP_weights.pt",
    source="hub: numansaeed/fetalclip-model (with FetalCLIP_config.json)",
    licence="CC BY-NC 4.0 (CC BY-NC-ND 4.0 before 2026-02-05)",
    non_commercial=True,
    preprocessing="centred square with black borders, bicubic 224, CLIP mean and deviation",
    citation="Maani et al. 2025, arXiv:2502.14807",
)
ULTRA_SAM = TeacherRecord(
    name="ultra_sam",
    title="UltraSAM",
    format="ultra_sam",
    architecture=SAM_B,
    blocks=(3, 7, 11),
    weight=0.25,
    containers=("state_dict",),
    file_name="UltraSam.pth",
    source="https://s3.unistra.fr/camma_public/github/ultrasam/UltraSam.pth",
    licence="CC BY-NC-SA 4.0",
    non_commercial=True,
    preprocessing="long side 1024, bilinear, SAM mean and deviation, zeros at the right and bottom",
    citation="Meyer et al. 2024, arXiv:2411.16222",
)
USF_MAE = TeacherRecord(
    name="usf_mae",
    title="USF-MAE",
    format="mae",
    architecture=VIT_B_16,
    blocks=(3, 7, 11),
    weight=0.20,
    containers=("",),
    file_name="USF-MAE_full_pretrain_43dataset_100epochs.pt",
    source="the links in the README of github.com/Yusufii9/USF-MAE",
    licence="MIT",
    non_commercial=False,
    preprocessing="stretched to 224 x 224, nearest, ImageNet mean and deviation",
    citation="Megahed et al. 2025, arXiv:2510.22990",
)
ULTRA_FED_FM = TeacherRecord(
    name="ultra_fed_fm",
    title="UltraFedFM",
    format="mae",
    architecture=VIT_B_16,
    blocks=(3, 7, 11),
    weight=0.15,
    containers=("model",),
    file_name="checkpoint.pth",
    source="the links in the README of github.com/yuncheng97/UltraFedFM",
    licence="Apache-2.0",
    non_commercial=False,
    preprocessing="short side 256, bicubic, centre 224 x 224, ImageNet mean and deviation",
    citation="Jiang et al. 2025, arXiv:2411.16380",
)
TEACHERS = {record.name: record for record in (FETAL_CLIP, ULTRA_SAM, USF_MAE, ULTRA_FED_FM)}
