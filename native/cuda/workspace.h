// Scratch memory of the CUDA backend's operations: places within one block, from the bounds of the operations alone.
#pragma once
#include "cuda/switches.h"
#include "ops/arguments.h"

namespace lowrank::cuda {

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
  int64_t logits = 0;              // (logit_rows, vocab) act
  int64_t losses = 0;              // (tokens) f64
  int64_t sample_tops = 0;         // (sampled) u64
  int64_t sample_weights = 0;      // (sampled, vocab) u64
  int64_t partial_sums = 0;        // (kPartialSums) f64
  int64_t bytes = 0;

  // Columns of the two together: rows begin at 16 bytes, and sums have whole groups of 8.
  static int64_t bordered_cols(int64_t cols, int64_t rank) { return (cols + rank + 7) / 8 * 8; }
  // Rows of x as columns, which are read 16 at a time.
  static int64_t outlier_rows(int64_t rows) { return (rows + 15) / 16 * 16; }
};
constexpr int64_t kPartialSums = 1024;

// Of any device.
int64_t workspace_bytes(const OpLimits&, const Switches&);

}  // namespace lowrank::cuda
