# ar_1400m_256.py on the tokenizer trained for 50 epochs: expect FID 8.71, or 3.89 with rejection of
# 95 % (repository).
_base_ = './ar_1400m_256.py'
model = dict(tokenizer=dict(checkpoint='work_dirs/rq/rq_vae_256_50e/iter_500500.pth'))
