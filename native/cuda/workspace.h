// Scratch memory of the CUDA backend's operations: places within one block, from the bounds of the operations alone.
#pragma once
#include "cuda/switches.h"
#include "ops/arguments.h"

namespace lowrank::cuda {

// Attention through products of matrices (attention_products.cpp): what of it is in memory at a time, and where.
struct AttentionParts {
  AttentionParts() = default;
  explicit AttentionParts(const OpLimits&);

  static constexpr int64_t kLeastQueries = 16;
  int64_t queries = 0;     // of each head, 16, 32, 64, 128 or 256; 0: attention is not computed this way
  int64_t key_step = 0;    // the queries' keys are a multiple of it
  int64_t groups = 0;      // key/value heads
  int64_t dim = 0;         // of a head, rounded up
  int64_t query_rows = 0;  // of a group: all queries of all its heads
  int64_t key_rows = 0;    // of a group

  // Offsets:
  int64_t q = 0, d_o = 0, o = 0;              // (groups, query_rows, dim) act; o: or the gradient of q
  int64_t k = 0, v = 0;                       // (groups, key_rows, dim) act
  int64_t dk = 0, dv = 0;                     // as k and v, in f32
  int64_t scores = 0, d_weights = 0;          // (groups, a head's `queries` for each of its heads, key_rows) f32
  int64_t weights = 0, d_scores = 0;          // the same in act; in the same places where that is f32
  int64_t place(const OpLimits&, int64_t at);  // sets them; returns the offset behind

  int64_t chunks(int64_t rows) const { return (rows + queries - 1) / queries; }
  // The chunk's queries where so many are left.
  int64_t chunk_of(int64_t left) const {
    int64_t n = kLeastQueries;
    while (n < left && n < queries) n *= 2;
    return n;
  }
};

struct Workspace {
  Workspace() = default;
  Workspace(const OpLimits&, const Switches&);

  int64_t rows = 0;         // a linear takes this number of rows at a time
  int64_t logit_rows = 0;   // and the head this number
  int64_t decoded = 0;      // elements of a weight that are decoded at a time
  int64_t border = 0;       // further columns of a row that holds an adapter's beside its own

  // Offsets:
  int64_t weight = 0;              // (decoded) act, and (features, border)
  int64_t bordered = 0;            // (rows, features + border) act: x and the adapter's columns
  int64_t sums = 0;                // (rows, features) f32: results that are rounded once
  int64_t a = 0, b = 0;            // (rank, features) act each: an adapter's A and B
  int64_t dropped = 0;             // (rows, features) act: dropout(x), or a term that a mask still has to go over
  int64_t du = 0;                  // (rows, rank) act
  int64_t codes = 0;               // (rows, features) i8: x in codes
  int64_t outliers = 0;            // (features, outlier_rows) act: its other columns
  int64_t code_sums = 0;           // (rows, features) i32
  int64_t maxima = 0, is_outlier = 0, outlier_columns = 0;  // (tokens) f32, (features) i32, (features + 1) i32
  int64_t delta = 0;               // (tokens, heads) f32: rowsum(do * o)
  AttentionParts attention;
  int64_t logits = 0;              // (logit_rows, vocab) act; in the same place as attention's
  int64_t losses = 0;              // (tokens) f64
  int64_t sample_tops = 0;         // (sampled) u64
  int64_t sample_weights = 0;      // (sampled, vocab) u64
  int64_t partial_sums = 0;        // (kPartialSums) f64
  int64_t bytes = 0;

  // Rows of x as columns, which are read 16 at a time.
  static int64_t outlier_rows(int64_t rows) { return (rows + 15) / 16 * 16; }
};
constexpr int64_t kPartialSums = 1024;

// Columns of a row and of the adapter's beside it: rows begin at 16 bytes, and sums have whole groups of 8.
constexpr int64_t bordered_cols(int64_t cols, int64_t rank) { return (cols + rank + 7) / 8 * 8; }
// Whether a copy of a row of x is no more bytes than a row of a sum.
constexpr bool pays_for_copy(DType x, int64_t cols, DType sums, int64_t rows) { return dtype_bytes(x) * cols <= dtype_bytes(sums) * rows; }
// Elements of a row of a plain weight (rows, cols) in act on a device.
int64_t resident_columns(int64_t rows, int64_t cols, DType act, const AdapterColumns&, const Switches&);

// Of any device.
int64_t workspace_bytes(const OpLimits&, const Switches&);

}  // namespace lowrank::cuda
