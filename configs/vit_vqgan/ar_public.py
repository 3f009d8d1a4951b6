# The transformer of the public code, 1536 wide: attention over mixtures of neighbouring rows. It
# was never trained there; with its own figure of 6144 for the width it would have 11 B parameters.
# ar_1700m.py with another network and Adam.
_base_ = './ar_1700m.py'
model = dict(
    backbone=dict(
        _delete_=True, type='Gpt', dim=1536, num_layers=24, num_heads=16, activation='squared_relu',
        time_mixing=True, dropout=0.0, position_deviation=0.0),
    input_dropout=0.0)
optim_wrapper = dict(
    transformer=dict(
        no_decay_1d=True, no_decay=('embed',),
        optimizer=dict(
            _delete_=True, type='Adam', lr=4.5e-4, betas=(0.9, 0.96), weight_decay=0.01)))
