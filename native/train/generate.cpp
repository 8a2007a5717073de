// Generation with a key/value cache.
#include <algorithm>

#include "train/engine.h"

namespace lowrank {

int32_t Engine::generate_start(const std::vector<int32_t>& prompt, const Sampling& sampling) {
  if (prompt.empty()) throw Error("E_PROMPT", "The prompt has no tokens.");
  cached_ = 0;
  generated_ = 0;
  sampling_ = sampling;
  const int64_t n = int64_t(prompt.size());
  int32_t token = 0;
  const int64_t piece = options_.evaluation_tokens();
  for (int64_t done = 0; done < n; done += piece) token = next_token(prompt.data() + done, std::min(piece, n - done));
  return token;
}

int32_t Engine::generate_next(int32_t token) {
  if (cached_ < 0) throw Error("E_STATE", "generateNext was called before generateStart.");
  return next_token(&token, 1);
}

int32_t Engine::next_token(const int32_t* ids, int64_t n) {
  if (cached_ + n > options_.cache_tokens) {
    throw Error("E_CONTEXT", "The text has grown to " + std::to_string(cached_ + n) + " tokens, but the engine was opened for " +
                                 std::to_string(options_.cache_tokens) + " (cacheTokens, else maxSequence).");
  }
  for (int64_t i = 0; i < n; i++) {
    if (ids[i] < 0 || ids[i] >= model_.vocab) {
      throw Error("E_PROMPT", "Token " + std::to_string(ids[i]) + " is outside the vocabulary of " +
                                  std::to_string(model_.vocab) + ": the tokenizer does not belong to this model.");
    }
  }
  positions_.resize(size_t(n));
  for (int64_t i = 0; i < n; i++) positions_[size_t(i)] = int32_t(cached_ + i);
  q_offsets_[1] = int32_t(n);
  kv_offsets_[1] = int32_t(cached_ + n);
  layout_->place_evaluation(n);
  rope_.use_length(cached_ + n);
  forward({ids, nullptr, positions_.data(), q_offsets_, kv_offsets_, n, 1}, Mode::generate);
  cached_ += n;

  // Only the last token's logits are of interest.
  const Mat x = f32(layout_->residual, n, model_.dim).slice(n - 1, 1), h = act(layout_->h, 1, model_.dim);
  backend_->norm_fwd({x, weights_.final_norm, float(model_.final_norm.eps), h, nullptr, {}});
  logits_.resize(size_t(model_.vocab));
  backend_->linear_fwd({.x = h, .w = weights_.head, .u = {}, .y = Mat(logits_.data(), DType::f32, 1, model_.vocab)});
  return sample(logits_.data(), model_.vocab, sampling_, generated_++);
}

}  // namespace lowrank
