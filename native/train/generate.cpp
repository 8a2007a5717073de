// Generation with a key/value cache.
#include <algorithm>

#include "train/engine.h"

namespace lowrank {

TextSlot& Engine::text(int number) {
  if (number < 0 || size_t(number) >= texts_.size()) {
    throw Error("E_STATE", "This engine was opened for " + std::to_string(texts_.size()) + " texts at a time: there is no number " + std::to_string(number) + ".");
  }
  return texts_[size_t(number)];
}

int32_t Engine::generate_start(const std::vector<int32_t>& prompt, const Sampling& sampling, int adapter, int number) {
  require_head();
  if (prompt.empty()) throw Error("E_PROMPT", "The prompt has no tokens.");
  TextSlot& t = text(number);
  view(adapter);  // Error E_STATE
  t.cached = 0;
  t.generated = 0;
  t.sampling = sampling;
  t.adapter = adapter;
  const int64_t n = int64_t(prompt.size());
  int32_t token = 0;
  const int64_t piece = base_.options().evaluation_tokens();
  for (int64_t done = 0; done < n; done += piece) token = next_token(t, prompt.data() + done, std::min(piece, n - done));
  return token;
}

int32_t Engine::generate_next(int32_t token, int number) {
  TextSlot& t = text(number);
  if (t.cached < 0) throw Error("E_STATE", "generateNext was called before generateStart.");
  return next_token(t, &token, 1);
}

int32_t Engine::next_token(TextSlot& t, const int32_t* ids, int64_t n) {
  const int64_t most = base_.options().cache_tokens, dim = base_.model().dim, vocab = base_.model().vocab;
  if (t.cached + n > most) {
    throw Error("E_CONTEXT", "The text has grown to " + std::to_string(t.cached + n) + " tokens, but the engine was opened for " +
                                 std::to_string(most) + " (cacheTokens, else maxSequence).");
  }
  for (int64_t i = 0; i < n; i++) {
    if (ids[i] < 0 || ids[i] >= vocab) {
      throw Error("E_PROMPT", "Token " + std::to_string(ids[i]) + " is outside the vocabulary of " + std::to_string(vocab) +
                                  ": the tokenizer does not belong to this model.");
    }
  }
  base_.use_length(t.cached + n);
  Pass p = base_.pass({ids, nullptr, {0, int32_t(n)}}, Mode::generate, view(t.adapter), t.cached);
  p.cache = t.cache();
  base_.forward(p);
  t.cached += n;

  // Only the last token's logits are of interest.
  const Layout& layout = base_.layout();
  float* const found = base_.at<float>(layout.logits);
  Head::logits(p, p.mat(layout.stream.x).slice(n - 1, 1), p.mat(layout.shared.h, 1, dim), Mat(found, DType::f32, 1, vocab));
  std::vector<float> logits(static_cast<size_t>(vocab));
  base_.backend().download(found, vocab * int64_t(sizeof(float)), logits.data());
  return sample(logits.data(), vocab, t.sampling, t.generated++);
}

}  // namespace lowrank
