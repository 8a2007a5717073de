// The operation cases: one table, made by sweeps, that every mode of the executable iterates.
#pragma once
#include <string>
#include <vector>

#include "base/rng.h"
#include "head_layouts.h"
#include "ops/backend.h"
#include "stored.h"

namespace lowrank::test {

enum class Alias { none, dg_is_da, dg_is_g_and_du_is_u, y_is_x };

// One case. Fields that an operation does not use keep their defaults.
struct Case {
  std::string op;  // a name of operations.h
  DType act = DType::f32, weight = DType::f32;
  StoredAs stored;                         // of the weight where it is not plain; `weight` does not count then
  DType out = DType::f32;                  // of y or dx, and a cast's destination
  int64_t rows = 1, in = 1, features = 1;  // M or N; I or C or F; O or V
  int64_t rank = 0;                        // 0: no adapter
  bool bias = false, accumulate = false;
  bool together = false;  // LinearFwdArgs'
  bool trains = false;   // the head has a dw, or with `replaced` drows
  int64_t replaced = 0;  // HeadArgs' rows
  bool optional = true;  // dx of a backward pass, rstd and saved of norm_fwd, lse of attention_fwd
  int also = 0;          // further linears of the same input, of linear_bwd
  bool exact = true;     // weights hold values that bf16 holds, too: products of bf16 read them unrounded
  bool inverse = false;  // of rope
  int64_t rotary = 0;    // of rope: columns that rotate; 0: all
  bool interleaved = false;
  int64_t window = 0;    // of attention
  bool causal = true;    // of attention
  float cap = 0;         // of attention, head and soft_cap
  float factor = 1;      // of embedding and cast
  bool centred = false;  // of a norm
  bool each = false;     // of an inner norm: each head has a weight of its own
  bool gated = true;     // u of a GLU is there
  Activation activation = Activation::silu;
  Alias alias = Alias::none;
  Dropout dropout;
  int64_t undropped = 0;  // Lora's
  bool rest = false;      // DropoutArgs'
  int64_t heads = 1, kv_heads = 1, head_dim = 2;
  HeadLayout layout = HeadLayout::separate;
  std::vector<int32_t> queries, keys;  // lengths of the sequences; keys may be empty: as queries
  int64_t ld_pad = 0;                  // elements between rows of activations
  int64_t misalign = 0;                // bytes, of weights
  float size = 1;                      // of the inputs that decide how peaked a softmax or how steep a SwiGLU is
  int64_t step = 1;                    // of adamw
  HeadFunction function = HeadFunction::none;  // of dense_fwd and dense_bwd
  LabelLoss loss = LabelLoss::single_label_classification;
  bool roomy = false;                  // a workspace for larger operations
  bool heavy = false;                  // too slow for emulated instruction sets
  bool gradient = false;               // small enough for finite differences
  uint64_t seed = 0;

  std::string name() const;
};

std::vector<Case> all_cases();
std::vector<Case> speed_cases();

// The parts of the table, in a file each.
void add_linear_cases(std::vector<Case>&);
void add_chunk_cases(std::vector<Case>&);
void add_rank_cases(std::vector<Case>&);
void add_row_cases(std::vector<Case>&);
void add_attention_cases(std::vector<Case>&);
void add_attention_tile_cases(std::vector<Case>&);
void add_head_cases(std::vector<Case>&);
void add_optimizer_cases(std::vector<Case>&);
void add_dense_cases(std::vector<Case>&);
void add_sample_cases(std::vector<Case>&);

// Dtypes of activations.
inline constexpr DType kActs[] = {DType::f32, DType::bf16, DType::f16};

// Sizes around every vector, tile, panel and block of the kernels.
inline const std::vector<int64_t> kTails = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 65, 95, 97};

}  // namespace lowrank::test
