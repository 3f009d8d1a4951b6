# The CPU twin of LlamaGen's tokenizer: lfq_32.py with 8x8 tokens from a codebook of 256 unit
# vectors with 8 channels. As in its recipe, nothing restarts codes or spreads them. A few seconds
# on two cores; for trying out code, not for quality.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        downsample='padded_conv', middle='attention', attention_levels=(2,), bias=True,
        out_kernel=3),
    quantizer=dict(
        _delete_=True, type='VQ', codebook_size=256, code_dim=8, projection=16, l2_norm=True,
        restart_after=None),
    decoder=dict(
        num_res_blocks=2, upsample='nearest_conv', middle='attention', attention_levels=(2,),
        bias=True, adaptive_norm=False),
    training=dict(
        losses=dict(reconstruction=dict(type='L2Loss')),
        quantizer_losses=dict(_delete_=True, codebook=1.0, commitment=0.25),
        adversarial=dict(
            generator_loss='mean', weight=0.5, discriminator_weight=0.5, start=2, regularizers=[])))
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
