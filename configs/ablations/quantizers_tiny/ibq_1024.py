# Index backpropagation, 2^10 codes.
_base_ = './vq_1024.py'
model = dict(
    quantizer=dict(_delete_=True, type='IBQ', codebook_size=1024, code_dim=16),
    training=dict(
        quantizer_losses=dict(propagation=1.0, commitment=1.0, codebook=0.25, entropy=0.05)))
