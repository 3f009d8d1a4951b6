# The transformer of the public code, 1536 wide, which mixes each row with the previous one before
# attention. It was never trained there; the width of 6144 in its config would give 11 B parameters.
# This is ar_1700m.py with another network and Adam.
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
