// Generation with a key/value cache.
#include <algorithm>

#include "train/engine.h"

namespace lowrank {

namespace {

// Tokens of a shared beginning are a multiple of this from the piece's first one, and as many are left at least: then attention's blocks of
// queries and the products of few rows are those of the whole prompt.
constexpr int64_t kPrefixStep = 32;

}  // namespace

TextSlot& Engine::text(int number) {
  if (number < 0 || size_t(number) >= texts_.size()) {
    throw Error("E_STATE", "This engine was opened for " + std::to_string(texts_.size()) + " texts at a time: there is no number " + std::to_string(number) + ".");
  }
  return texts_[size_t(number)];
}

int32_t Engine::generate_start(const std::vector<int32_t>& prompt, const Sampling& sampling, int adapter, int number, int like) {
  require_head();
  if (prompt.empty()) throw Error("E_PROMPT", "The prompt has no tokens.");
  TextSlot& t = text(number);
  view(adapter);  // Error E_STATE
  int64_t done = like == kNoText ? 0 : take_prefix(prompt, adapter, text(like), t);
  t.cached = done;
  t.tokens.assign(prompt.begin(), prompt.begin() + done);
  t.sampling = sampling;
  t.adapter = adapter;
  const int64_t n = int64_t(prompt.size()), piece = base_.options().evaluation_tokens();
  t.generated = uint64_t(done / piece);  // each piece of a prompt takes one number of the text's random stream
  int32_t token = 0;
  for (int64_t end; done < n; done = end) {
    end = std::min(n, (done / piece + 1) * piece);
    token = next_tokens({{&t, prompt.data() + done, end - done, n}})[0];
  }
  return token;
}

// A rotary table made for a length, and outlier columns of all rows, are of one text.
bool Engine::depends_on_others() const { return base_.depends_on_length() || base_.options().rounds_activations; }

// Copies the keys and values of the tokens that the prompt begins with from a cache; returns how many.
int64_t Engine::take_prefix(const std::vector<int32_t>& prompt, int adapter, const TextSlot& from, TextSlot& to) {
  if (from.cached < 0 || from.adapter != adapter || depends_on_others()) return 0;
  const int64_t n = int64_t(prompt.size()), piece = base_.options().evaluation_tokens();
  // The last token is computed: the next one follows from it.
  const int64_t same = std::mismatch(prompt.begin(), prompt.end() - 1, from.tokens.begin(), from.tokens.end()).first - prompt.begin();
  const int64_t begin = same / piece * piece, end = std::min(n, begin + piece);  // of the piece where the texts part
  const int64_t most = std::max<int64_t>(0, std::min(same, end - kPrefixStep) - begin);
  const int64_t done = begin + most / kPrefixStep * kPrefixStep;
  if (&from == &to || done == 0) return done;
  const int64_t dim = base_.model().block.attention.kv_dim(), layer_bytes = base_.options().cache_tokens * dim * dtype_bytes(base_.options().act);
  const Cache source = from.cache(), target = to.cache();
  const auto rows = [&](char* cache, int64_t layer) { return Mat(cache + layer * layer_bytes, base_.options().act, done, dim); };
  for (int64_t layer = 0; layer < base_.model().layers; layer++) {
    base_.backend().cast({rows(source.k, layer), rows(target.k, layer)});
    base_.backend().cast({rows(source.v, layer), rows(target.v, layer)});
  }
  return done;
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
    grown.push_back({&t, &tokens[i], 1, t.cached + 1});
  }
  const size_t most = depends_on_others() ? 1 : size_t(kMostTogether);
  std::vector<int32_t> found;
  for (size_t i = 0; i < grown.size(); i += most) {
    const auto begin = grown.begin() + int64_t(i), end = begin + int64_t(std::min(most, grown.size() - i));
    const std::vector<int32_t> some = next_tokens({begin, end});
    found.insert(found.end(), some.begin(), some.end());
  }
  return found;
}

std::vector<int32_t> Engine::next_tokens(const std::vector<Grown>& grown) {
  const int64_t most = base_.options().cache_tokens, vocab = base_.model().vocab;
  const int64_t count = int64_t(grown.size());
  std::vector<int32_t> ids, offsets{0};
  std::vector<Base::Past> past;
  int64_t longest = 0;
  for (const auto& [t, its, n, length] : grown) {
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
    longest = std::max(longest, length);
  }
  base_.use_length(longest);
  const Pass p = base_.pass({ids.data(), nullptr, offsets}, Mode::generate, view(grown[0].text->adapter), {}, past);
  base_.forward(p);

  // Only the last token's logits are of interest.
  const Layout& layout = base_.layout();
  const Mat logits(base_.at<float>(layout.logits), DType::f32, count, vocab);
  const int64_t row = count == 1 ? int64_t(ids.size()) - 1 : 0;
  base_.logits(p, p.mat(layout.stream.x).slice(row, count), logits);
  std::vector<SampleRow> rows;
  for (const auto& [t, its, n, length] : grown) {
    t->cached += n;
    t->tokens.insert(t->tokens.end(), its, its + n);
    rows.push_back(t->sampling.row(t->generated++));
  }
  SampleRow* const rows_at = base_.at<SampleRow>(layout.sample_rows);
  int32_t* const next_at = base_.at<int32_t>(layout.next_tokens);
  base_.backend().upload(rows.data(), int64_t(rows.size() * sizeof(SampleRow)), rows_at);
  base_.backend().sample({logits, rows_at, next_at});
  std::vector<int32_t> next(grown.size());
  base_.backend().download(next_at, int64_t(next.size() * sizeof(int32_t)), next.data());
  if (std::find(next.begin(), next.end(), kNoToken) != next.end()) {
    throw Error("E_NAN", "The model's logits are not numbers. The weights or the adapter are damaged, or training diverged.");
  }
  return next;
}

}  // namespace lowrank
