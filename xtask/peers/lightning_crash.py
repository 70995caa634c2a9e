"""The small CNN of `crash.py`, trained with PyTorch Lightning as its documentation says: `lightning_crash.py DIGITS.csv FOLDER`.

Goes on with `ckpt_path="last"` where there is one. NAN_AT=N makes the loss of the N-th step of this process NaN; CHECK_FINITE adds the
callback that Lightning has against that. Leaves counting to crash.py.
"""

import os
import sys

import lightning.pytorch as lightning
import numpy
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

TRAIN, VALID, BATCH, EPOCHS, SAVE_STEPS = 480, 120, 16, 3, 8


class Digits(Dataset):
    """Pictures of 8x8, moved by up to a pixel where `moved`: the augmentation."""

    def __init__(self, rows, moved):
        self.images = torch.tensor(rows[:, :64] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
        self.classes = torch.tensor(rows[:, 64], dtype=torch.long)
        self.moved = moved

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        image = self.images[index]
        if self.moved:
            image = image.roll(tuple(torch.randint(-1, 2, (2,)).tolist()), (1, 2))
        return image, self.classes[index]


class Cnn(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1, stride=2), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10),
        )  # fmt: skip
        self.nan_at = int(os.environ.get("NAN_AT", -1))

    def training_step(self, batch, _):
        self.nan_at -= 1
        loss = F.cross_entropy(self.layers(batch[0]), batch[1])
        return loss * float("nan") if self.nan_at == 0 else loss

    def validation_step(self, batch, _):
        self.log("val_loss", F.cross_entropy(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05, momentum=0.9)

    def on_train_start(self):
        print("training", flush=True)


def main(digits, folder):
    lightning.seed_everything(1, workers=True)
    rows = numpy.loadtxt(digits, delimiter=",", max_rows=TRAIN + VALID)
    checkpoints = [
        ModelCheckpoint(folder, "step-{step}", every_n_train_steps=SAVE_STEPS, save_last=True),
        ModelCheckpoint(folder, "best-{epoch}", monitor="val_loss"),
    ]
    finite = [EarlyStopping("val_loss", patience=EPOCHS, check_finite=True)] if "CHECK_FINITE" in os.environ else []
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=EPOCHS, deterministic=True, logger=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[EMAWeightAveraging(decay=0.9), *checkpoints, *finite],
    )  # fmt: skip
    model = Cnn()
    train = DataLoader(Digits(rows[:TRAIN], True), BATCH, shuffle=True)
    valid = DataLoader(Digits(rows[TRAIN:], False), BATCH)
    trainer.fit(model, train, valid, ckpt_path="last", weights_only=False)
    weights = torch.cat([value.flatten().double() for value in model.state_dict().values()])
    print(f"the final weights are {'finite' if weights.isfinite().all() else 'not finite'}", flush=True)
    weights.numpy().tofile(os.path.join(folder, "final"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
