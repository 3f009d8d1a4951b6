# The CPU twin of omni_tokenizer/vq_256_images.py: omni_tokenizer_32.py with learned biases instead
# of rotary positions.
_base_ = './omni_tokenizer_32.py'
model = dict(encoder=dict(positions='bias'), decoder=dict(positions='bias'))
