"""The parts of the local vision-language engine, from weights on disk to answers:

loading    folder or hub id -> checked files -> model, adapter, hashes
processor  pixels and prompt -> tensors, without torchvision
prefix     a frame, encoded and prefilled once; a bounded store of such states
packed     one pass of the language model over rows that bring different numbers of tokens
grammar    JSON schema -> which tokens may come next, and which must
drafts     one answer while it is written
decoding   rows and drafts -> tokens, many rows at a time
shared     the fast way, made of prefix, packed and decoding: Qwen3.5
plain      the same through generate(): every other family
devices    device, precision, memory
cpu        weights laid out for few tokens at a time
timing     where processor time goes
"""
