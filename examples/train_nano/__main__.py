"""One command from the training folder to a checkpoint. Stages that are done are skipped; the rest resumes."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from jina_v3_encoder.save import save_checkpoint

from .adapters import AdapterLosses, train_adapters
from .backbone import BackboneData, start_model, train_backbone
from .corpus import read_corpus
from .teacher import Targets, distillation_texts, write_targets
from .vocabulary import train_tokenizer
from .warm_start import tokenizer_from


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of *.jsonl.gz files.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for stages; keep it to resume.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the checkpoint is written.")
@click.option("--vocabulary", default=18_000, show_default=True)
@click.option("--teacher-texts", default=330_000, show_default=True, help="Texts the teacher encodes.")
@click.option("--backbone-minutes", default=25.0, show_default=True)
@click.option("--adapter-minutes", default=12.0, show_default=True, help="For all adapters together.")
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    data: Path,
    work: Path,
    out: Path,
    vocabulary: int,
    teacher_texts: int,
    backbone_minutes: float,
    adapter_minutes: float,
    threads: int,
    seed: int,
) -> None:
    """Train nano on a CPU. It may be stopped at any moment and started again with the same folders."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    work.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(data, seed)
    tokenizer_file = work / "tokenizer.json"
    if not tokenizer_file.exists():
        train_tokenizer(corpus, vocabulary, tokenizer_file, seed)
    if not (work / "texts.json").exists():
        write_targets(distillation_texts(corpus, teacher_texts), work)
    tokenizer, targets = tokenizer_from(tokenizer_file), Targets(work)
    model = start_model(corpus, tokenizer, targets, seed)
    batches = BackboneData(corpus, tokenizer, targets, torch.from_numpy(targets.basis(seed)))
    train_backbone(model, batches, backbone_minutes * 60, work / "backbone.safetensors")
    losses = AdapterLosses(model, corpus, tokenizer)
    train_adapters(model, losses, adapter_minutes * 60, work)
    save_checkpoint(model, tokenizer_file, out)


if __name__ == "__main__":
    main()
