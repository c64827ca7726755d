"""Makes tokenizer.json, byte pairs learned from texts: `make_tokenizer.py PIECES TEXT..`; needs the package `tokenizers`."""

import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

pieces, texts = int(sys.argv[1]), sys.argv[2:]
tokenizer = Tokenizer(models.BPE())
# Bytes as the alphabet: any text has tokens, whatever was not in the texts.
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer.train(texts, trainers.BpeTrainer(vocab_size=pieces, initial_alphabet=alphabet, show_progress=False))
tokenizer.save("tokenizer.json")
print(f"tokenizer.json: {tokenizer.get_vocab_size()} pieces")
