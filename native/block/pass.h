// One piece's way through the model: everything that parts read beside their own buffers.
#pragma once
#include <vector>

#include "base/random_streams.h"
#include "block/place.h"
#include "model/adapter.h"
#include "model/weights.h"
#include "ops/backend.h"

namespace lowrank {

// The sequences that go through the model at a time. Addresses are in the backend's memory.
struct Tokens {
  const int32_t *ids = nullptr, *positions = nullptr;        // (M)
  const int32_t* offsets = nullptr;                           // (sequences + 1), of queries and keys
  const int32_t* types = nullptr;                             // (M), where the model has token types
  int64_t count = 0, sequences = 0;
};

// recompute: the values that the backward pass reads, but not the block's output
enum class Mode { train, recompute, evaluate, generate };

// An adapter with the addresses of its flat buffers; without sites there is none.
struct Adapter {
  const AdapterLayout& layout;
  const AdapterSpec& spec;
  float *parameters = nullptr, *gradients = nullptr;    // gradients: null outside training
  const float *norms = nullptr, *factors = nullptr;  // of DoRA: RowNormsArgs' of all outputs, from AdapterSite::first_output on

  bool has(int64_t layer, size_t first, size_t count = 1) const {  // one of these linears has a site
    for (size_t i = first; i < first + count; i++) {
      if (layout.index(layer, i) >= 0) return true;
    }
    return false;
  }
};

// Tables of rotary angles (P, E/2).
struct Rotary {
  const float *cos = nullptr, *sin = nullptr;
};

// A key/value cache: (L, S, G*D) act each.
struct Cache {
  char *k = nullptr, *v = nullptr;
  int64_t tokens = 0;  // S
};

// Of a piece: its tokens whose rows of the embedding train, and these tokens' rows in the adapter.
struct OwnTokens {
  const int32_t *places = nullptr, *rows = nullptr;  // (count) each, in the backend's memory
  int64_t count = 0;
};

// A text that is generated: the sequence of its new tokens, and its cache.
struct CachedText {
  Cache cache;
  int64_t first = 0, count = 0;  // rows of its new tokens
  int64_t keys = 0;              // tokens so far, with the new ones
  const int32_t *q_offsets = nullptr, *kv_offsets = nullptr;  // (2): 0 and count, 0 and keys
};

struct Pass {
  Backend& ops;
  const ModelSpec& model;
  const ModelWeights& weights;
  std::vector<Rotary> rotary;  // of each kind of attention
  char* memory;  // of the piece's buffers
  DType act;
  Adapter adapter;
  Mode mode;
  Tokens tokens;
  Varying varying = {};
  const Varying* varying_at = nullptr;  // with the backend, where operations read it there
  OwnTokens own_tokens = {};
  std::vector<CachedText> texts = {};  // where tokens are generated: one for each sequence
  const float* key_bias = nullptr;  // as AttentionShape's bias
  int64_t key_bias_ld = 0;

  // The embedding and the head that hold for the adapter, and the head's bias or null.
  Weight embedding() const {
    const int64_t own = adapter.layout.embedding();
    return own < 0 ? weights.embedding : Weight{.data = adapter.parameters + own, .rows = model.vocab, .cols = model.table_dim()};
  }
  Weight head() const {
    const int64_t own = adapter.layout.head().weight;
    return own < 0 ? weights.head : Weight{.data = adapter.parameters + own, .rows = model.vocab, .cols = model.table_dim()};
  }
  // Rows of single tokens; data null: there are none.
  Weight rows(const RowsPlace& place) const {
    return place.offset < 0 ? Weight() : Weight{.data = adapter.parameters + place.offset, .rows = place.count(), .cols = model.table_dim()};
  }
  const float* head_bias() const {
    const int64_t own = adapter.layout.head().bias;
    return own < 0 ? weights.head_bias : adapter.parameters + own;
  }
  // Of an offset in the adapter's flat buffer; null where there is no such gradient.
  float* gradient(int64_t offset) const { return offset < 0 || !adapter.gradients ? nullptr : adapter.gradients + offset; }

  // A mask of stream `stream` of the micro-batch's `streams`, of a matrix with so many elements a token, or of one that is read (Varying): masks do not depend on the pieces.
  Dropout mask(double rate, uint64_t stream, uint64_t streams, uint64_t per_token, uint64_t per_read = 0) const {
    const Dropout d{float(rate), adapter.spec.seed, stream, 0, streams, per_token, per_read, varying_at};
    return varying_at ? d : d.of(varying);
  }
  // A dropout of the base by its number (ModelSpec::dropout_number), of a matrix with a row of `row` elements a token. None outside of training.
  Dropout base_dropout(double rate, int64_t number, uint64_t row) const {
    if (rate == 0 || !trains() || !adapter.spec.base_dropout) return {};
    return mask(rate, streams::kBaseDropout + uint64_t(number), uint64_t(model.dropouts()), row);
  }
  Dropout base_dropout(double rate, int64_t layer, ModelSpec::Dropped part) const {
    return base_dropout(rate, model.dropout_number(layer, part), uint64_t(model.dim));
  }

  // The factor that operations take as a number, beside the one that they read.
  double loss_scale() const { return varying_at ? 1 : varying.loss_scale; }

  bool together() const { return texts.size() > 1; }
  bool trains() const { return mode == Mode::train || mode == Mode::recompute; }
  Mat mat(const Rows& r) const { return mat(r, tokens.count, r.cols); }
  Mat mat(const Rows& r, int64_t rows, int64_t cols) const { return Mat(memory + r.offset, r.dtype, rows, cols); }
  float* f32(const Rows& r) const { return reinterpret_cast<float*>(memory + r.offset); }
};

}  // namespace lowrank
