// Byte-level BPE as tokenizer.json has it.

/** The pre-tokenizer or decoder. */
export const byteLevel = (addPrefixSpace: boolean, useRegex = true) => ({
  type: "ByteLevel",
  add_prefix_space: addPrefixSpace,
  trim_offsets: true,
  use_regex: useRegex,
});

/** The model, without a token for unknown pieces. */
export const bpeModel = (vocab: Record<string, number>, merges: unknown[], ignoreMerges = false) => ({
  type: "BPE",
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: "",
  end_of_word_suffix: "",
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: ignoreMerges,
  vocab,
  merges,
});
