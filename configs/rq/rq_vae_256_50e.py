# rq_vae_256.py trained for 50 epochs (500,500 iterations): expect rFID 3.20.
_base_ = './rq_vae_256.py'
train_cfg = dict(max_epochs=50)
