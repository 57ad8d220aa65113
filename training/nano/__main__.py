"""One command from the training folder to a checkpoint. Stages that are done are skipped; the rest resumes."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from jina_v3_encoder.checkpoints.save import save_checkpoint

from .adapter_data import AdapterData
from .adapters import AdapterLosses, train_adapters
from .backbone import BackboneData, empty_model, start_model, train_backbone
from .corpus import read_corpus
from .teacher import Targets, distillation_texts, write_targets
from .vocabulary import train_tokenizer
from .warm_start import tokenizer_from


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of *.jsonl.gz files.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for stages; keep it to resume.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the checkpoint is written.")
@click.option("--vocabulary", default=18_000, show_default=True)
@click.option("--loose-texts", default=100_000, show_default=True, help="English texts outside pairs to distil.")
@click.option("--backbone-minutes", default=80.0, show_default=True)
@click.option("--adapter-minutes", default=30.0, show_default=True, help="For all adapters together.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    data: Path,
    work: Path,
    out: Path,
    vocabulary: int,
    loose_texts: int,
    backbone_minutes: float,
    adapter_minutes: float,
    device: str,
    threads: int,
    seed: int,
) -> None:
    """Train nano. It may be stopped at any moment and started again with the same folders."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    work.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(data, seed)
    texts = distillation_texts(corpus, loose_texts)
    tokenizer_file = work / "tokenizer.json"
    if not tokenizer_file.exists():
        train_tokenizer(corpus, texts, vocabulary, tokenizer_file, seed)
    write_targets(texts, work, device)
    tokenizer, targets = tokenizer_from(tokenizer_file), Targets(work)
    basis = torch.from_numpy(targets.basis(seed))
    state = work / "backbone.safetensors"
    fresh = not state.exists()
    model = (start_model(corpus, tokenizer, targets, seed) if fresh else empty_model(tokenizer)).to(device)
    train_backbone(model, BackboneData(corpus, tokenizer, targets, basis), backbone_minutes * 60, state)
    losses = AdapterLosses(model, AdapterData(model.config, corpus, tokenizer, targets), basis)
    train_adapters(model, losses, adapter_minutes * 60, work)
    save_checkpoint(model.cpu(), tokenizer_file, out)


if __name__ == "__main__":
    main()
