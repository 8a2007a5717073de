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
  for (int64_t done = 0; done < n; done += piece) token = next_tokens({{&t, prompt.data() + done, std::min(piece, n - done)}})[0];
  return token;
}

int32_t Engine::generate_next(int32_t token, int number) { return generate_next_of({number}, {token})[0]; }

std::vector<int32_t> Engine::generate_next_of(const std::vector<int32_t>& texts, const std::vector<int32_t>& tokens) {
  if (texts.empty() || texts.size() != tokens.size()) throw Error("E_ARGUMENT", "There must be a text, and as many tokens as texts.", "texts");
  std::vector<Grown> grown;
  for (size_t i = 0; i < texts.size(); i++) {
    TextSlot& t = text(texts[i]);
    if (t.cached < 0) throw Error("E_STATE", "generateNext was called before generateStart.");
    for (const Grown& other : grown) {
      if (other.text == &t) throw Error("E_ARGUMENT", "Text " + std::to_string(texts[i]) + " is named twice.", "texts");
      if (other.text->adapter != t.adapter) throw Error("E_STATE", "Texts of several adapters cannot go through the model together.");
    }
    grown.push_back({&t, &tokens[i], 1});
  }
  // A rotary table made for a length, and outlier columns of all rows, are of one text.
  const bool alone = base_.depends_on_length() || base_.options().rounds_activations;
  const size_t most = alone ? 1 : size_t(kMostTogether);
  std::vector<int32_t> found;
  for (size_t i = 0; i < grown.size(); i += most) {
    const auto begin = grown.begin() + int64_t(i), end = begin + int64_t(std::min(most, grown.size() - i));
    const std::vector<int32_t> some = next_tokens({begin, end});
    found.insert(found.end(), some.begin(), some.end());
  }
  return found;
}

std::vector<int32_t> Engine::next_tokens(const std::vector<Grown>& grown) {
  const int64_t most = base_.options().cache_tokens, dim = base_.model().dim, vocab = base_.model().vocab;
  const int64_t count = int64_t(grown.size());
  std::vector<int32_t> ids, offsets{0};
  std::vector<Base::Past> past;
  int64_t longest = 0;
  for (const auto& [t, its, n] : grown) {
    if (t->cached + n > most) {
      throw Error("E_CONTEXT", "The text has grown to " + std::to_string(t->cached + n) + " tokens, but the engine was opened for " +
                                   std::to_string(most) + " (cacheTokens, else maxSequence).");
    }
    for (int64_t i = 0; i < n; i++) {
      if (its[i] < 0 || its[i] >= vocab) {
        throw Error("E_PROMPT", "Token " + std::to_string(its[i]) + " is outside the vocabulary of " + std::to_string(vocab) +
                                    ": the tokenizer does not belong to this model.");
      }
    }
    ids.insert(ids.end(), its, its + n);
    offsets.push_back(int32_t(ids.size()));
    past.push_back({t->cache(), t->cached});
    longest = std::max(longest, t->cached + n);
  }
  base_.use_length(longest);
  const Pass p = base_.pass({ids.data(), nullptr, offsets}, Mode::generate, view(grown[0].text->adapter), past);
  base_.forward(p);

  // Only the last token's logits are of interest.
  const Layout& layout = base_.layout();
  float* const found = base_.at<float>(layout.logits);
  const int64_t row = count == 1 ? int64_t(ids.size()) - 1 : 0;
  Head::logits(p, p.mat(layout.stream.x).slice(row, count), p.mat(layout.shared.h, count, dim), Mat(found, DType::f32, count, vocab));
  std::vector<float> logits(static_cast<size_t>(count * vocab));
  base_.backend().download(found, count * vocab * int64_t(sizeof(float)), logits.data());
  std::vector<int32_t> next;
  for (size_t i = 0; i < grown.size(); i++) {
    TextSlot& t = *grown[i].text;
    t.cached += grown[i].count;
    next.push_back(sample(logits.data() + int64_t(i) * vocab, vocab, t.sampling, t.generated++));
  }
  return next;
}

}  // namespace lowrank
