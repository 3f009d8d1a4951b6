# MaskGIT's tokenizer as a model by itself.
_base_ = '../tokenizers/maskgit_256.py'
model = dict(_delete_=True, **_base_.model.tokenizer)
