// The kernels: each function enqueues one or two of them on a stream and returns. Addresses are a device's.
#pragma once
#include "cuda/code_product.h"
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

// few_rows.cu: y (=|+=) x (rows [first, first + y.cols) of w)^T, without decoding them into memory, where it takes these operands
bool takes_few_rows(const Mat& x, const Weight& w);
void few_rows(const Mat& x, const Weight& w, int64_t first, const Mat& y, bool accumulates, const Tables&, Stream);
// out = rows [first, first + out.rows) of w in out's dtype.
void decode(const Weight& w, int64_t first, const Mat& out, const Tables&, Stream);

// linear.cu
// out = dropout(x), row 0 being row `first` of the matrix that the mask is of.
void dropout(const Mat& x, const Mat& out, const Dropout&, int64_t first, Stream);
// sums += mask / (1 - p) * x
void add_masked(const Mat& x, const Mat& sums, const Dropout&, int64_t first, Stream);
// to = from, and 0 in its columns behind from's. from: f32 or to's dtype
void pad_columns(const Mat& from, const Mat& to, Stream);
// y (=|+=) sums + bias + code_sums maxima[row] absmax[column] kInt8ProductStep; null: no such term. y may be sums.
struct Finish {
  Mat sums, y;
  const float* bias = nullptr;
  bool accumulate = false;
  const int32_t* code_sums = nullptr;  // (rows, y.cols)
  const float *maxima = nullptr, *absmax = nullptr;
};
void finish(const Finish&, Stream);

// linear_int8.cu: LLM.int8, see LinearFwdArgs. Outliers are x's columns, in rising order: their number is known to the device alone.
struct Outliers {
  float* maxima;        // (M)
  int32_t* is_outlier;  // (I), zero before
  int32_t* columns;     // (I), and the number of them behind
};
void find_outliers(const Mat& x, float threshold, const Outliers&, Stream);
// codes: (M, I) rows of x one after the other, the first of which has the maximum `maxima`; some: (I, M or more) = the outliers' columns as rows
void round_to_codes(const Mat& x, const float* maxima, const Outliers&, int8_t* codes, const Mat& some, Stream);
// sums = the product of the outliers' columns and those of w's rows from `first` on. weights: (I, sums.cols) scratch
void add_up_outliers(const Mat& some, const Weight& w, int64_t first, const Outliers&, const Mat& weights, const Mat& sums, Stream);
// Any shapes, slowly.
void code_product(const CodeProduct&, Stream);

// flash_attention.cu and flash_attention_bwd.cu: on tensor cores, where they take these operands
bool takes_flash_attention(const AttentionFwdArgs&);
bool takes_flash_attention(const AttentionBwdArgs&);
void flash_attention_fwd(const AttentionFwdArgs&, Stream);
// delta: (M, H) scratch
void flash_attention_bwd(const AttentionBwdArgs&, float* delta, Stream);

// few_queries.cu: without lse and dropout
constexpr int64_t kMostHeadDim = 512;
bool takes_few_queries(const AttentionFwdArgs&);
void few_queries(const AttentionFwdArgs&, Stream);

// attention_products.cu: what is left of attention beside products of matrices
// Copies of the heads of some groups, of zeros beyond a head's columns and the matrix's rows. A group's rows are those of a chunk of tokens for each of
// its heads, then those of the next chunk: `whole` of them, and one of `last` tokens.
struct HeadCopies {
  Mat all;  // (groups rows, columns)
  int64_t rows, heads, chunk, whole, last;
  LOWRANK_ON_DEVICE int64_t row(int64_t group, int64_t token, int64_t head) const {
    const int64_t number = token / chunk;
    return group * rows + number * chunk * heads + head * (number < whole ? chunk : last) + token % chunk;
  }
  int64_t tokens() const { return whole * chunk + last; }
};
void copy_heads(const Heads& from, int64_t first_group, int64_t dim, const HeadCopies& to, Stream);
void copy_back(const HeadCopies& from, const Heads& to, int64_t first_group, int64_t dim, Stream);
// Scores of some groups' queries [first_query, first_query + queries) of all heads, row by row as HeadCopies has them, and keys [first_key, first_key + keys).
struct ScoreChunk {
  int64_t first_group, groups, first_query, queries, first_key, keys;
};
// weights = dropout(softmax(scores)), and lse, of the forward pass. weights: (groups heads queries, keys), may be scores
void softmax(const AttentionFwdArgs&, const ScoreChunk&, const Mat& scores, const Mat& weights, Stream);
// weights = dropout(p), d_scores: of ds, from the scores and d_weights = do v^T; both may be in place
void softmax_bwd(const AttentionBwdArgs&, const ScoreChunk&, const Mat& scores, const Mat& d_weights, const Mat& weights, const Mat& d_scores, Stream);

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
