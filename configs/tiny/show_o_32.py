# The CPU twin of show_o/lfq_256.py: 8x8 tokens of 8 bits. The recipe's entropies are of single
# bits, where bits that always agree cost nothing; after 300 steps 32 % of the codes are in use.
# Here entropies are of half codes, sharper and with a larger weight, beside a weaker commitment:
# 55 %, the best of 14 settings tried with one seed.
_base_ = './lfq_32.py'
model = dict(
    encoder=dict(
        num_res_blocks=(1, 2, 1), downsample='padded_conv', middle='attention', bias=True,
        out_kernel=3),
    quantizer=dict(
        num_bits=8, bit_order='msb', temperature=0.02, entropy_groups=2, entropy_eps=0.0,
        projection=8),
    decoder=dict(
        num_res_blocks=(2, 1, 1), upsample='nearest_conv', middle='attention', bias=True,
        adaptive_norm=False),
    training=dict(quantizer_losses=dict(entropy=0.1, commitment=0.01)))
