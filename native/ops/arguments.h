// Arguments of the operations that a training step is made of, forward and backward side by side: one struct each;
// maths, shapes and "=" or "+=" stand above it. operations.inc lists the operations.
//
// Shape letters: M tokens of the micro-batch (all sequences one after the other, no padding between them), C model
// dim, H query heads, G kv heads, D head dim, F mlp dim, V vocab, R rank, I/O in/out features.
// "act" is the activation dtype (f32, bf16 or f16): products read act operands, accumulate in f32 and round once on output.
#pragma once
#include "base/rng.h"
#include "base/tensor.h"
#include "ops/activation.h"
#include "ops/step_state.h"
#include "quant/weight.h"

namespace lowrank {

// x[m,:] (=|+=) scale * table[ids[m],:]
struct EmbeddingArgs {
  const int32_t* ids;       // (M)
  Weight table;             // (V, C)
  Mat x;                    // (M, C) f32
  float scale = 1;
  bool accumulate = false;  // x += instead of x =
};

// The gradient of a table that trains: dtable[ids[m],:] += scale * dx[m,:], in the order of m
struct EmbeddingBwdArgs {
  const int32_t* ids;  // (M)
  Mat dx;              // (M, C) f32
  Mat dtable;          // (V, C) f32 +=
  float scale = 1;
};

// RMSNorm (Zhang & Sennrich, 2019): y = x; centred, LayerNorm (Ba et al., 2016): y = x - mean(x[m,:]). rstd[m] = 1/sqrt(mean(y[m,:]^2) + eps);
// h = y * rstd * w + b
struct NormFwdArgs {
  Mat x;           // (M, C) f32
  const float* w;  // (C)
  float eps;
  Mat h;           // (M, C) act =
  float* rstd;     // (M) =, may be null
  Mat saved;       // (M, C) act = y rounded, for the backward pass; data may be null
  const float* b = nullptr;  // (C) or null
  bool centred = false;
};
// h again from the saved values: h = y * rstd * w + b
struct NormApplyArgs {
  Mat x;  // (M, C) act, as saved
  const float* w;
  const float* rstd;
  Mat h;  // (M, C) act =
  const float* b = nullptr;
};
// dx += rstd * (dh*w - y * rstd^2 * mean(dh*w*y)), centred also less rstd * mean(dh*w);  w and b are frozen
struct NormBwdArgs {
  Mat dh;  // (M, C) f32
  Mat x;   // (M, C) act, as saved
  const float* w;
  const float* rstd;
  Mat dx;       // (M, C) f32 +=
  Mat rounded;  // (M, C) act = the new dx; data may be null
  bool centred = false;
};

// Heads of D columns each in the rows of a matrix: head j of group g begins at column offset + g group_stride + j head_stride. A group is the
// query heads of one key/value head; of keys and values it has one head. So q, k and v may be matrices of their own or lie in one, whatever
// their order; an operation that writes heads leaves the matrix's other columns alone.
struct Heads {
  Mat mat;
  int64_t offset = 0, group_stride = 0, head_stride = 0;

  LOWRANK_ON_DEVICE int64_t column(int64_t group, int64_t j) const { return offset + group * group_stride + j * head_stride; }
  Mat head(int64_t group, int64_t j, int64_t dim) const {
    return Mat(mat.row(0) + column(group, j) * dtype_bytes(mat.dtype), mat.dtype, mat.rows, dim, mat.ld);
  }
};

// The norm of norm_fwd for values within a block, of n heads or of rows.
struct InnerNormFwdArgs {
  Heads x;         // (M) act
  const float* w;  // (D), or with `each` (H, D)
  float eps;
  Heads y;      // (M) act =, or f32
  float* rstd;  // (M, H) =, may be null
  int64_t heads, groups, dim;
  bool accumulate = false;  // y += instead of y =, of f32
  const float* b = nullptr;  // as w, or null
  bool centred = false;
  bool each = false;  // every head has a weight of its own
};
// dx = the gradient of norm_bwd;  w and b are frozen
struct InnerNormBwdArgs {
  Heads dy;  // (M) act or f32
  Heads x;   // (M) act, as the forward pass read it
  const float* w;
  const float* rstd;  // (M, H)
  Heads dx;           // (M) act =
  int64_t heads, groups, dim;
  bool centred = false, each = false;
};

// Low-rank adapter of one linear (Hu et al., 2021). a, b, da, db are f32 and contiguous.
struct Lora {
  const float* a = nullptr;  // (R, I)
  const float* b = nullptr;  // (O, R)
  float* da = nullptr;       // (R, I) +=
  float* db = nullptr;       // (O, R) +=
  int64_t rank = 0;
  float scale = 1;           // alpha/r, or alpha/sqrt(r)
  Dropout dropout;           // on x, element index m*I + i; p = 0 in evaluation
  int64_t undropped = 0;     // the last rows of A, which read x as it is
};
// What of the adapters' B of a linear may lie beside its weight's rows.
struct AdapterColumns {
  int64_t rank = 0;     // the largest; 0: nothing does
  bool same_x = false;  // as LinearFwdArgs'
};
// u = scale * dropout(x) A^T (rounded to act);  y = x W^T + bias + u B^T
// With w.outlier_threshold (LLM.int8, Dettmers et al., 2022): a column of x is an outlier where one of its elements, rounded to
// f16, is not below the threshold in magnitude. Row m has codes round(x[m,i] 127 / max[m]) in the other columns, max[m] over its
// f16 values below the threshold, and x W^T is codes codes^T max[m] w.absmax[o] / 127^2 + x W^T over the outliers' columns.
// The backward pass goes through x W^T as if nothing had been rounded.
struct LinearFwdArgs {
  Mat x;                       // (M, I) act
  Weight w;                    // (O, I)
  const float* bias = nullptr; // (O) or null
  const Lora* lora = nullptr;
  Mat u;                       // (M, R) act =, kept for the backward pass; needed when lora
  Mat y;                       // (M, O) act or f32
  bool accumulate = false;     // y += instead of y =
  // Where given, both (M, O) act: a = silu(gate) * y as well, of y as it is stored; the same bits as GluFwdArgs'.
  Mat gate = {}, a = {};
  // A row's bits do not depend on the other rows: texts that are generated together come out as alone. At most kMostTogether rows.
  bool together = false;
  // x is what the linear before read, and still as it was: what LLM.int8 made of it serves again.
  bool same_x = false;
};
constexpr int64_t kMostTogether = 16;
// du = scale * dy B (rounded to act);  dx (=|+=) dy W + dropmask/(1-p) * (du A);  db += dy^T u;  da += du^T dropout(x), the last rows without the mask
// Where w.gradient_codes says so, for all linears of the input or none: with z[m,o] = dy[m,o] w.absmax[o] in f32, row m has codes round(z[m,o] 127 / max[m]),
// or round(that + u - 1/2), a fused multiply-add, with u = uniform01 of the element's word, and dy W is codes w's codes max[m] / 127^2. du, db and da read dy itself.
struct LinearBwdArgs {
  Mat dy;                    // (M, O) act
  Mat x;                     // (M, I) act; needed when lora
  Weight w;                  // (O, I)
  const Lora* lora = nullptr;
  Mat u;                     // (M, R) act, from the forward pass
  Mat dx;                    // (M, I) act or f32; data null = not wanted
  bool accumulate = false;   // dx += instead of dx =
  // Another linear of the same input: its part of dx is a term of the same product. Its own dx and accumulate are ignored.
  const LinearBwdArgs* also = nullptr;
  // Where given, both (M, I) act: x was silu(gate) * up. dx, in act, goes on through this function: gate and up become their own
  // gradients, with the same bits as GluBwdArgs'. The contents of dx afterwards do not count.
  Mat gate = {}, up = {};
  // Random numbers of stochastic codes: the seed, stream and offset of element m*O + o.
  Dropout numbers = {};
};

// y (=|+=) factor[o] z[:,o] + bias_scale bias[o] of each column: a linear's output with DoRA's factors, or with a bias of B.
struct ColumnsFwdArgs {
  Mat z;                        // (M, O) act; data null: no such term
  const float* factor = nullptr;  // (O); with z
  const float* bias = nullptr;    // (O) or null
  float bias_scale = 1;
  Mat y;                        // (M, O) act or f32
  bool accumulate = false;
};
// dmagnitude[o] += sum over m of dy z / norm[o];  dbias[o] += bias_scale sum over m of dy;  z = factor[o] dy, its own gradient
struct ColumnsBwdArgs {
  Mat dy;                        // (M, O) act
  Mat z;                         // (M, O) act, in place; data null: no such term
  const float *factor = nullptr, *norm = nullptr;  // (O); with z
  float* dmagnitude = nullptr;   // (O) +=; with z
  float* dbias = nullptr;        // (O) += or null
  float bias_scale = 1;
};
// DoRA (Liu et al., 2024): norm[o] = |w[o,:] + scale (b a)[o,:]|, a constant for the backward pass; factor = magnitude / norm
struct RowNormsArgs {
  Weight w;                          // (O, I)
  Lora lora;                         // its a, b, rank and scale
  const float* magnitude = nullptr;  // (O); null: no factors
  float *norm = nullptr, *factor = nullptr;  // (O) =
};
// y (=|+=) dropout(x), or with `rest` what it takes away, x - dropout(x). Each is its own backward pass.
struct DropoutArgs {
  Mat x;            // (M, C) act or f32
  Mat y;            // (M, C) act or f32; may be x
  Dropout dropout;  // element index m*C + c
  bool rest = false;
  bool accumulate = false;
};
// NEFTune (Jain et al., 2023): x += size (2 u - 1), u = uniform01 of word j%4 of philox(seed, stream, j/4), j = offset + the element's index
struct NoiseArgs {
  Mat x;  // (M, C) f32 +=, rows one after the other
  float size;
  uint64_t seed, stream, offset;
  // As Dropout's: where given, the size is what varies, too.
  uint64_t per_token = 0;
  const Varying* varying = nullptr;

  LOWRANK_ON_DEVICE NoiseArgs of(const Varying& v) const { return {x, v.noise, seed, stream + v.rng_stream, offset + v.tokens * per_token}; }
  LOWRANK_ON_DEVICE NoiseArgs now() const { return varying ? of(*varying) : *this; }
};

// Rotary position embedding in place of the first E columns of each head (Su et al., 2021; half-split pairs as in Hugging Face llama): for
// i < E/2 (x_i, x_{i+E/2}) -> (x_i c - x_{i+E/2} s, x_{i+E/2} c + x_i s); inverse turns the other way (the backward pass).
// interleaved: the pairs are (x_{2i}, x_{2i+1}), as in GPT-J.
struct RopeArgs {
  Heads x;                   // (M) act, in place
  const int32_t* positions;  // (M)
  const float* cos;          // (P, E/2)
  const float* sin;          // (P, E/2)
  int64_t heads, groups, head_dim;
  int64_t rotary_dim;  // E
  bool inverse = false;
  bool interleaved = false;
};

// Ragged attention. Sequence s owns query rows [q_offsets[s], q_offsets[s+1]) and key rows [kv_offsets[s], kv_offsets[s+1]); nk >= nq, and
// query i of nq sees keys 0 .. nk-nq+i, or all nk where it is not causal. Training: both offsets are the same array.
// Query head h reads kv head h / (H/G). No T x T matrix is stored (Dao et al., 2022).
struct AttentionShape {
  int64_t heads, kv_heads, head_dim;
  float scale;  // usually 1/sqrt(D)
  const int32_t *q_offsets, *kv_offsets;  // (sequences + 1)
  int64_t sequences;
  int64_t window = 0;  // a query sees this number of keys at most, the last; 0: all before it
  float soft_cap = 0;  // scores become cap * tanh(score / cap); 0: they stay
  bool causal = true;  // else there is no window
  // (H, bias_ld): what is added to the scores of a sequence's keys (ALiBi, Press et al., 2022), by their places in it. Null: nothing. Scores
  // that are capped have none.
  const float* bias = nullptr;
  int64_t bias_ld = 0;
  Dropout dropout = {};  // of the probabilities, in training; by dropout_index. Its offset is a multiple of 4

  // Of a row of q's matrix, a head, and a key's place in its sequence.
  LOWRANK_ON_DEVICE static uint64_t dropout_index(int64_t row, int64_t heads, int64_t head, int64_t key) {
    return (uint64_t(row * heads + head) << 32) + uint64_t(key);
  }

  // Keys of a sequence up to the last that query i of nq sees.
  LOWRANK_ON_DEVICE int64_t visible(int64_t i, int64_t nq, int64_t nk) const { return causal ? nk - nq + i + 1 : nk; }
  // Keys of the sequence before the first that a query sees. visible: as of visible().
  LOWRANK_ON_DEVICE int64_t hidden(int64_t visible) const { return window > 0 && visible > window ? visible - window : 0; }
};
// s = scale * q k^T + bias, capped;  o = dropout(softmax(s)) v per head;  lse = log sum exp(s)
struct AttentionFwdArgs {
  AttentionShape shape;
  Heads q;     // (M) act
  Heads k, v;  // (Mk) act
  Mat o;       // (M, H*D) act =
  float* lse;  // (M, H) =, may be null
};
// p = exp(s - lse);  dv = dropout(p)^T do;  ds = p * (dropout(do v^T) - rowsum(do*o)) * (1 - (s / cap)^2);  dq = scale ds k;  dk = scale ds^T q
// q and kv offsets are the same here.
struct AttentionBwdArgs {
  AttentionShape shape;
  Heads q, k, v;     // as in the forward pass
  Mat o, d_o;        // (M, H*D) act
  const float* lse;  // (M, H)
  Heads dq, dk, dv;  // (M) act =
};

// a = f(g) * u  (gated linear units, Shazeer 2020), or without u a = f(g)
struct GluFwdArgs {
  Mat g, u;  // (M, F) act; u: data may be null
  Mat a;     // (M, F) act =
  Activation f = Activation::silu;
};
// dg = da * u * f'(g);  du = da * f(g); without u dg = da * f'(g).  dg may be the memory of da or g, du the memory of u.
struct GluBwdArgs {
  Mat da, g, u;  // (M, F) act
  Mat dg, du;    // (M, F) act =
  Activation f = Activation::silu;
};

// z = x W^T + b, logits = soft_cap * tanh(z / soft_cap); for row n with label t: loss = lse(logits) - logits[t];
// dz = loss_scale * (softmax - onehot(t)) * (1 - (logits / soft_cap)^2);  dx = dz W;  dw += dz^T x;  dbias += the sum of dz's rows.  soft_cap 0: logits = z
// Logits exist for a chunk of rows at a time only. With `rows`, W's row row_ids[r] is rows[r,:], and drows += dz[:,row_ids]^T x.
struct HeadArgs {
  Mat x;                  // (N, C) act, normed hidden states of the supervised tokens only
  Weight w;               // (V, C)
  const int32_t* labels;  // (N), each in [0, V)
  double loss_scale;      // factor of the gradient, not of the reported loss
  Mat dx;                 // (N, C) f32 =; data null in evaluation
  double* loss_sum;       // += the sum over the N rows, unscaled
  const double* dynamic_scale = nullptr;  // another factor of the gradient; null: 1
  const Varying* varying = nullptr;       // its loss_scale is another; null: 1. As Dropout's
  const float* bias = nullptr;  // (V) or null
  float soft_cap = 0;
  float *dw = nullptr, *dbias = nullptr;  // (V, C), (V) +=, with dx; null: frozen, or not there
  // In the places of some of W's rows; without bias, dw and dbias. Of host memory alone.
  Weight rows = {};                  // (R, C); data null: none
  const int32_t* row_ids = nullptr;  // (R), each once
  float* drows = nullptr;            // (R, C) +=, with dx; may be null
};

enum class HeadFunction { none, tanh, relu };

// A dense layer of a classifier, one row a text, all f32: d = dropout(f(x));  y = d w^T + bias
struct DenseFwdArgs {
  Mat x;           // (N, I)
  const float* w;  // (O, I)
  const float* bias = nullptr;  // (O) or null
  HeadFunction f = HeadFunction::none;
  Dropout dropout;  // element index n*I + i
  Mat d;            // (N, I) =
  Mat y;            // (N, O) =
};
// dx = f'(x) * dropmask/(1-p) * (dy w);  dw += dy^T d;  dbias += the sum of dy's rows
struct DenseBwdArgs {
  Mat dy;          // (N, O)
  Mat x, d;        // from the forward pass
  const float* w;  // (O, I)
  HeadFunction f = HeadFunction::none;
  Dropout dropout;
  Mat dx;                                // (N, I) =
  float *dw = nullptr, *dbias = nullptr;  // (O, I), (O) +=; null: frozen, or not there
};

// Losses of labels, as transformers names them by problem_type: cross-entropy of one class, squared errors, and binary cross-entropy of each
// class on its own.
enum class LabelLoss { single_label_classification, regression, multi_label_classification };

// loss_sum += the sum over all rows, of one class, or over all elements;  logits become loss_scale * d(that sum)/d(logits) where wanted
struct LabelLossArgs {
  LabelLoss loss;
  Mat logits;           // (N, K) f32, in place
  const float* labels;  // (N) class numbers from 0 on, else (N, K)
  bool gradient;
  double loss_scale;
  double* loss_sum;
  const double* dynamic_scale = nullptr;  // another factor of the gradient; null: 1
  const Varying* varying = nullptr;       // its loss_scale is another; null: 1. As Dropout's
};

// How the next token of a text is chosen: as transformers filters, temperature, top-k, then top-p (nucleus sampling, Holtzman et al., 2020: the
// smallest set of most likely tokens whose probabilities reach top_p).
struct SampleRow {
  float temperature = 0;  // 0: the most likely token
  float top_p = 1;        // 1: off
  int64_t top_k = 0;      // 0: off
  uint32_t random = 0;    // 24 bits
};
// tokens[n] = one of row n's; kNoToken where its logits are not numbers. The arithmetic is in sampling.h.
struct SampleArgs {
  Mat logits;             // (N, V) f32
  const SampleRow* rows;  // (N)
  int32_t* tokens;        // (N) =
};
constexpr int32_t kNoToken = INT32_MIN;

// x = 0
struct ZeroArgs {
  Mat x;
};
// dst (=|+=) factor * src; one is f32, or both are alike. += of f32
struct CastArgs {
  Mat src, dst;
  float factor = 1;
  bool accumulate = false;
};
// x = cap * tanh(x / cap), in place
struct SoftCapArgs {
  Mat x;  // (M, V) f32
  float cap;
};
// dst[i,:] = src[rows[i],:], same dtype
struct GatherArgs {
  Mat src;
  const int32_t* rows;  // (rows of dst)
  Mat dst;
};
// dst[rows[i],:] = src[i,:], same dtype
struct ScatterArgs {
  Mat src;
  const int32_t* rows;  // (rows of src)
  Mat dst;
};

// Before AdamW: the global norm of the gradients, whether it is finite, the factor that clips to max_norm, and the loss scale after the step,
// by the rules of PyTorch's GradScaler. The sum of squares is in f64; its order does not depend on threads.
struct ClipArgs {
  const float* g;  // (n)
  int64_t n;
  float max_norm;          // 0 or infinite: nothing is clipped
  double grad_factor;      // that the gradients carry beside the state's loss_scale
  double tokens;           // learned tokens of the window
  int64_t growth_steps;    // applied steps after which the loss scale doubles; 0: it is fixed
  // The learning rate, by how many steps were skipped since skipped_before of them: the schedule stands still in skipped steps.
  const float* learning_rates;  // (rates), at least one; the last counts for more
  int64_t rates, skipped_before;
  StepState* state;  // in place
};

// A tensor of AdamW: elements [begin, begin + elements) of p and g. Its moments, in place, at so many bytes from `moments`: (elements) f32 each, or
// in 8 bits (quant/moments.h) codes, and an f32 maximum for each block of kMomentBlock of them.
struct AdamWPart {
  int64_t begin, elements;
  int64_t m, v, m_max, v_max;
  int64_t first_block;  // blocks of kMomentBlock elements of the parts before, each part's last one being short
  double rate_factor;   // of the learning rate (LoRA+)
  float weight_decay;
  bool is_8bit;
};
// AdamW (Loshchilov & Hutter, 2019), as torch.optim.AdamW: g *= grad_scale; p *= 1 - lr*wd; m = b1 m + (1-b1) g;
// v = b2 v + (1-b2) g^2; p -= lr * (m/(1-b1^t)) / (sqrt(v/(1-b2^t)) + eps). Nothing happens where the state's step is skipped.
// Moments in 8 bits are widened for the step, p is updated with them as they are then, and they are rounded again.
struct AdamWArgs {
  float* p;
  const float* g;
  char* moments;
  const AdamWPart* parts;  // (count), with the backend
  int64_t count, blocks;   // blocks: of all parts
  double beta1, beta2;     // 1 - beta loses digits in f32
  float eps;
  const StepState* state;  // of clip: lr, grad_scale, t = applied
};

// Upper bounds that size a backend's workspace.
struct OpLimits {
  int64_t tokens = 0;        // M, also the most rows of the head
  int64_t kv_tokens = 0;     // most keys of one attention call
  int64_t max_sequence = 0;  // longest sequence
  int64_t features = 0;      // largest I or O of a linear (without the head)
  int64_t model_dim = 0, vocab = 0, rank = 0, heads = 0, kv_heads = 0, head_dim = 0;
  DType act = DType::f32;
  bool training = false, dropout = false;
  bool head_trains = false;  // the head has a dw or drows
  int64_t head_rows = 0;     // the most of HeadArgs' rows
  int64_t sampled = 0;       // rows of SampleArgs
  bool rounds_activations = false;  // linears with an outlier_threshold
  bool rounds_gradients = false;    // linears with gradient_codes
  // Elements of the largest weight of a linear or head that is not stored plainly in `act`; 0: there is none.
  int64_t decoded = 0;
};

}  // namespace lowrank
