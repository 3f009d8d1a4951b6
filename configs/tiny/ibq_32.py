# The CPU twin of ibq/ibq_256.py: 8x8 tokens from a codebook of 256 codes, which is trained through
# the softmax of all inner products. The entropy weight is four times the recipe's, because 0.05
# leaves two thirds of the codes unused after 300 iterations.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
        out_kernel=3),
    quantizer=dict(_delete_=True, type='IBQ', codebook_size=256, code_dim=16, projection=16),
    decoder=dict(
        num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
        bias=True, adaptive_norm=False),
    training=dict(
        quantizer_losses=dict(
            _delete_=True, propagation=1.0, commitment=1.0, codebook=0.25, entropy=0.2),
        adversarial=dict(first='discriminator')))
