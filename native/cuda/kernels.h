// The kernels: each function enqueues one or two of them on a stream and returns. Addresses are a device's.
#pragma once
#include "cuda/stream.h"
#include "ops/arguments.h"

namespace lowrank::cuda::kernels {

// Tables that kernels read.
struct Tables {
  const float* nf4 = nullptr;  // (16) values of codes
  const float* fp4 = nullptr;
  const float* first_moments = nullptr;  // (256) values of codes, rising
  const float* second_moments = nullptr;
  const float* of(Format f) const { return f == Format::fp4 ? fp4 : nf4; }
};

// rows.cu
void norm_fwd(const NormFwdArgs&, Stream);
void norm_apply(const NormApplyArgs&, Stream);
void norm_bwd(const NormBwdArgs&, Stream);
void inner_norm_fwd(const InnerNormFwdArgs&, Stream);
void inner_norm_bwd(const InnerNormBwdArgs&, Stream);

// elements.cu
void dropout(const DropoutArgs&, Stream);
void columns_fwd(const ColumnsFwdArgs&, Stream);
void columns_bwd(const ColumnsBwdArgs&, Stream);
void embedding_bwd(const EmbeddingBwdArgs&, Stream);
void add_noise(const NoiseArgs&, Stream);
void rope(const RopeArgs&, Stream);
void glu_fwd(const GluFwdArgs&, Stream);
void glu_bwd(const GluBwdArgs&, Stream);
void soft_cap(const SoftCapArgs&, Stream);
void zero(const ZeroArgs&, Stream);
void cast(const CastArgs&, Stream);
void gather_rows(const GatherArgs&, Stream);
void scatter_rows(const ScatterArgs&, Stream);

// decode.cu
void embedding_fwd(const EmbeddingArgs&, const Tables&, Stream);
void row_norms(const RowNormsArgs&, const Tables&, Stream);
// out = rows [first, first + out.rows) of w in out's dtype.
void decode(const Weight& w, int64_t first, const Mat& out, const Tables&, Stream);

// linear.cu
// out = dropout(x), row 0 being row `first` of the matrix that the mask is of.
void dropout(const Mat& x, const Mat& out, const Dropout&, int64_t first, Stream);
// sums += mask / (1 - p) * x
void add_masked(const Mat& x, const Mat& sums, const Dropout&, int64_t first, Stream);
// y (=|+=) sums + bias + code_sums maxima[row] absmax[column] kInt8ProductStep; null: no such term. y may be sums.
struct Finish {
  Mat sums, y;
  const float* bias = nullptr;
  bool accumulate = false;
  Mat code_sums = {};
  const float *maxima = nullptr, *absmax = nullptr;
};
void finish(const Finish&, Stream);
// LLM.int8, see LinearFwdArgs. is_outlier must be zero before.
void find_outliers(const Mat& x, float threshold, float* maxima, int32_t* is_outlier, Stream);
void round_to_codes(const Mat& x, const float* maxima, const int32_t* is_outlier, const Mat& codes, const Mat& outliers, Stream);

// attention.cu
constexpr int64_t kMostHeadDim = 512;
void attention_fwd(const AttentionFwdArgs&, Stream);
// delta: (M, H) scratch
void attention_bwd(const AttentionBwdArgs&, float* delta, Stream);

// flash_attention.cu and flash_attention_bwd.cu: the same on tensor cores, where they take these operands
bool takes_flash_attention(const AttentionFwdArgs&);
bool takes_flash_attention(const AttentionBwdArgs&);
void flash_attention_fwd(const AttentionFwdArgs&, Stream);
void flash_attention_bwd(const AttentionBwdArgs&, float* delta, Stream);

// loss.cu
// Logits become their gradients where `gradient`; losses: (rows)
struct CrossEntropy {
  Mat logits;             // (N, V) act
  const int32_t* labels;  // (N)
  double loss_scale;
  const double* dynamic_scale;
  const Varying* varying;
  const float* bias;      // (V) or null
  float soft_cap;
  bool gradient;
  double* losses;
};
void cross_entropy(const CrossEntropy&, Stream);
// *sum += the n values, in one order
void add_up(const double* values, int64_t n, double* sum, Stream);
void dense_fwd(const DenseFwdArgs&, Stream);
void dense_bwd(const DenseBwdArgs&, Stream);
void label_loss(const LabelLossArgs&, Stream);

// sampling.cu
// tops: (N), weights: (N, V) scratch
void sample(const SampleArgs&, uint64_t* tops, uint64_t* weights, Stream);

// optimizer.cu
// partial_sums: (kPartialSums) scratch
void clip(const ClipArgs&, double* partial_sums, Stream);
void adamw(const AdamWArgs&, const Tables&, Stream);

// add_parts.cu
// sums[i] = the sum of value i of each part, in the order of the parts. parts: (count, n)
void add_parts(const float* parts, int count, int64_t n, float* sums, Stream);

}  // namespace lowrank::cuda::kernels
