#include "ops/checks.h"

#include <algorithm>

#include "base/error.h"

namespace lowrank {

namespace {

bool same_shape(const Mat& a, const Mat& b) { return a.rows == b.rows && a.cols == b.cols; }
// The twin takes any dtype: dtypes are held to `act` where there are limits.
bool is_act(const Mat& x, const OpLimits* l) { return !l || x.dtype == l->act; }

void check_lora(const Lora& l, const Mat& x, const Weight& w, const Mat& u, const OpLimits* limits, const char* operation) {
  check(l.rank >= 1 && u.rows == x.rows && u.cols == l.rank && is_act(u, limits), "u", operation);
  check(l.undropped >= 0 && l.undropped < l.rank, "undropped", operation);
  if (!limits || !l.dropout.active()) return;
  check(limits->dropout && limits->training && x.rows <= limits->tokens && w.cols <= limits->features, "dropout beyond the limits", operation);
}

void check_heads(const Heads& x, int64_t groups, int64_t per_group, int64_t dim, const OpLimits* limits, const char* operation) {
  check(std::min({x.offset, x.group_stride, x.head_stride}) >= 0 && x.column(groups - 1, per_group - 1) + dim <= x.mat.cols, "heads", operation);
  check(is_act(x.mat, limits), "dtypes", operation);
}

void check_inner_norm(const Heads& x, const Heads& y, int64_t heads, int64_t groups, int64_t dim, const char* operation) {
  check(groups >= 1 && heads % groups == 0 && x.mat.rows == y.mat.rows, "shapes", operation);
  for (const Heads* each : {&x, &y}) check_heads(*each, groups, heads / groups, dim, nullptr, operation);
}

void check_attention(const AttentionShape& s, const Heads& q, const Heads& k, const Heads& v, const Mat& o, const OpLimits* limits, const char* operation) {
  check(s.window >= 0 && s.soft_cap >= 0 && (s.causal || s.window == 0) && !(s.soft_cap > 0 && s.bias), "window", operation);
  check(s.kv_heads >= 1 && s.heads % s.kv_heads == 0 && o.rows == q.mat.rows && o.cols == s.heads * s.head_dim && k.mat.rows == v.mat.rows,
        "shapes", operation);
  check_heads(q, s.kv_heads, s.heads / s.kv_heads, s.head_dim, limits, operation);
  check_heads(k, s.kv_heads, 1, s.head_dim, limits, operation);
  check_heads(v, s.kv_heads, 1, s.head_dim, limits, operation);
  check(!limits || (s.head_dim == limits->head_dim && s.kv_heads == limits->kv_heads), "beyond the limits", operation);
  check(is_act(o, limits), "dtypes", operation);
  check(!s.dropout.active() || !limits || limits->training, "dropout", operation);
}

void check_rows(const Mat& all, const Mat& some, const char* operation) {
  check(all.cols == some.cols && all.dtype == some.dtype, "shapes", operation);
}


}  // namespace

void check_embedding_fwd(const EmbeddingArgs& a, const OpLimits*) { check(a.x.cols == a.table.cols, "shapes", "embedding_fwd"); }

void check_embedding_bwd(const EmbeddingBwdArgs& a, const OpLimits*) {
  check(a.dx.cols == a.dtable.cols && a.dtable.ld == a.dtable.cols, "shapes", "embedding_bwd");
  check(a.dx.dtype == DType::f32 && a.dtable.dtype == DType::f32, "dtypes", "embedding_bwd");
}

void check_norm_fwd(const NormFwdArgs& a, const OpLimits* l) {
  check(same_shape(a.x, a.h) && (!a.saved || same_shape(a.x, a.saved)), "shapes", "norm_fwd");
  check(is_act(a.h, l) && (!a.saved || is_act(a.saved, l)), "dtypes", "norm_fwd");
}

void check_norm_apply(const NormApplyArgs& a, const OpLimits* l) {
  check(same_shape(a.x, a.h), "shapes", "norm_apply");
  check(is_act(a.x, l) && is_act(a.h, l), "dtypes", "norm_apply");
}

void check_norm_bwd(const NormBwdArgs& a, const OpLimits* l) {
  check(same_shape(a.dh, a.x) && same_shape(a.x, a.dx) && (!a.rounded || same_shape(a.x, a.rounded)), "shapes", "norm_bwd");
  check(is_act(a.x, l) && (!a.rounded || is_act(a.rounded, l)), "dtypes", "norm_bwd");
}

void check_inner_norm_fwd(const InnerNormFwdArgs& a, const OpLimits* l) {
  check_inner_norm(a.x, a.y, a.heads, a.groups, a.dim, "inner_norm_fwd");
  check(is_act(a.x.mat, l) && (is_act(a.y.mat, l) || a.accumulate) && (!a.accumulate || a.y.mat.dtype == DType::f32), "dtypes", "inner_norm_fwd");
}

void check_inner_norm_bwd(const InnerNormBwdArgs& a, const OpLimits* l) {
  check_inner_norm(a.x, a.dx, a.heads, a.groups, a.dim, "inner_norm_bwd");
  check_inner_norm(a.x, a.dy, a.heads, a.groups, a.dim, "inner_norm_bwd");
  check(is_act(a.x.mat, l) && is_act(a.dx.mat, l) && (is_act(a.dy.mat, l) || a.dy.mat.dtype == DType::f32), "dtypes", "inner_norm_bwd");
}

void check_linear_fwd(const LinearFwdArgs& a, const OpLimits* l) {
  check(a.x.cols == a.w.cols && a.y.cols == a.w.rows && a.x.rows == a.y.rows, "shapes", "linear_fwd");
  check(!a.gate || (same_shape(a.gate, a.y) && same_shape(a.a, a.y)), "gate", "linear_fwd");
  if (a.lora) check_lora(*a.lora, a.x, a.w, a.u, l, "linear_fwd");
  if (l && a.w.outlier_threshold > 0) {
    check(l->rounds_activations && a.x.rows <= l->tokens && std::max(a.w.rows, a.w.cols) <= l->features, "beyond the limits", "linear_fwd");
  }
}

void check_linear_bwd(const LinearBwdArgs& a, const OpLimits* l) {
  for (const LinearBwdArgs* each = &a; each; each = each->also) {
    check(each->dy.cols == each->w.rows && each->w.cols == a.w.cols && each->dy.rows == a.dy.rows, "shapes", "linear_bwd");
    check(each->w.gradient_codes == a.w.gradient_codes, "gradient_codes", "linear_bwd");
    check(!l || a.w.gradient_codes == GradientCodes::none ||
              (l->rounds_gradients && each->dy.rows <= l->tokens && std::max(each->w.rows, each->w.cols) <= l->features),
          "beyond the limits", "linear_bwd");
    if (!each->lora) continue;
    check(!l || (l->training && each->dy.rows <= l->tokens), "beyond the limits", "linear_bwd");
    check(each->x.rows == a.dy.rows && each->x.cols == a.w.cols && (!l || each->x.dtype == each->dy.dtype), "x", "linear_bwd");
    check_lora(*each->lora, each->dy, each->w, each->u, l, "linear_bwd");
  }
  check(!a.dx || (a.dx.rows == a.dy.rows && a.dx.cols == a.w.cols), "dx", "linear_bwd");
  check(!a.gate || (a.dx && same_shape(a.gate, a.dx) && same_shape(a.up, a.dx)), "gate", "linear_bwd");
}

void check_rope(const RopeArgs& a, const OpLimits* l) {
  check(a.groups >= 1 && a.heads % a.groups == 0, "shapes", "rope");
  check(a.rotary_dim % 2 == 0 && a.rotary_dim >= 2 && a.rotary_dim <= a.head_dim, "rotary_dim", "rope");
  check_heads(a.x, a.groups, a.heads / a.groups, a.head_dim, l, "rope");
}

void check_attention_fwd(const AttentionFwdArgs& a, const OpLimits* l) { check_attention(a.shape, a.q, a.k, a.v, a.o, l, "attention_fwd"); }

void check_attention_bwd(const AttentionBwdArgs& a, const OpLimits* l) {
  check_attention(a.shape, a.q, a.k, a.v, a.o, l, "attention_bwd");
  check_attention(a.shape, a.dq, a.dk, a.dv, a.d_o, l, "attention_bwd");
  check(same_shape(a.o, a.d_o) && a.k.mat.rows == a.q.mat.rows && a.dk.mat.rows == a.q.mat.rows, "gradients", "attention_bwd");
  check(!l || l->training, "beyond the limits", "attention_bwd");
}

void check_glu_fwd(const GluFwdArgs& a, const OpLimits*) {
  check((!a.u || same_shape(a.g, a.u)) && same_shape(a.g, a.a), "shapes", "glu_fwd");
}

void check_glu_bwd(const GluBwdArgs& a, const OpLimits*) {
  check(same_shape(a.da, a.g) && (!a.u || same_shape(a.g, a.u)) && same_shape(a.g, a.dg) && (!a.u || same_shape(a.u, a.du)), "shapes", "glu_bwd");
}

void check_columns_fwd(const ColumnsFwdArgs& a, const OpLimits* l) {
  check(!a.z || (same_shape(a.z, a.y) && a.factor && is_act(a.z, l)), "z", "columns_fwd");
  check(a.z || (a.accumulate && a.bias), "nothing to do", "columns_fwd");
}

void check_columns_bwd(const ColumnsBwdArgs& a, const OpLimits* l) {
  check(is_act(a.dy, l), "dtypes", "columns_bwd");
  check(!a.z || (same_shape(a.z, a.dy) && is_act(a.z, l) && a.factor && a.norm && a.dmagnitude), "z", "columns_bwd");
}

void check_row_norms(const RowNormsArgs& a, const OpLimits*) {
  check(a.lora.rank >= 1 && a.lora.a && a.lora.b && a.norm && (!a.magnitude || a.factor), "lora", "row_norms");
}

void check_dropout(const DropoutArgs& a, const OpLimits* l) {
  check(same_shape(a.x, a.y) && a.dropout.active(), "shapes", "dropout");
  for (const Mat* each : {&a.x, &a.y}) check(is_act(*each, l) || each->dtype == DType::f32, "dtypes", "dropout");
}

void check_add_noise(const NoiseArgs& a, const OpLimits*) { check(a.x.dtype == DType::f32 && a.x.ld == a.x.cols, "x", "add_noise"); }

void check_head(const HeadArgs& a, const OpLimits* l) {
  check(a.x.cols == a.w.cols && (!a.dx || same_shape(a.x, a.dx)), "shapes", "head");
  check(!l || (a.x.rows <= l->tokens && a.w.rows <= l->vocab), "beyond the limits", "head");
  check(is_act(a.x, l), "dtypes", "head");
  check((!a.dw && !a.dbias && !a.drows) || (a.dx && (!l || l->head_trains)), "dw", "head");
  if (!a.rows.data) return check(!a.drows, "rows", "head");
  check(a.row_ids && a.rows.cols == a.w.cols && !a.bias && !a.dw && !a.dbias && (!l || a.rows.rows <= l->head_rows), "rows", "head");
}

void check_dense_fwd(const DenseFwdArgs& a, const OpLimits*) {
  check(a.w && a.x.rows == a.y.rows && same_shape(a.x, a.d), "shapes", "dense_fwd");
  check(a.x.dtype == DType::f32 && a.d.dtype == DType::f32 && a.y.dtype == DType::f32, "dtypes", "dense_fwd");
}

void check_dense_bwd(const DenseBwdArgs& a, const OpLimits*) {
  check(a.w && same_shape(a.x, a.d) && same_shape(a.d, a.dx) && a.dy.rows == a.d.rows, "shapes", "dense_bwd");
  for (const Mat* each : {&a.dy, &a.x, &a.d, &a.dx}) check(each->dtype == DType::f32, "dtypes", "dense_bwd");
}

void check_label_loss(const LabelLossArgs& a, const OpLimits*) {
  check(a.labels && a.loss_sum && a.logits.cols >= 1 && a.logits.dtype == DType::f32, "shapes", "label_loss");
}

void check_soft_cap(const SoftCapArgs& a, const OpLimits*) { check(a.x.dtype == DType::f32 && a.cap > 0, "x", "soft_cap"); }

void check_sample(const SampleArgs& a, const OpLimits* l) {
  check(a.rows && a.tokens && a.logits.rows >= 1 && a.logits.dtype == DType::f32, "rows", "sample");
  check(!l || (a.logits.rows <= l->sampled && a.logits.cols <= l->vocab), "beyond the limits", "sample");
}

void check_zero(const ZeroArgs&, const OpLimits*) {}

void check_cast(const CastArgs& a, const OpLimits*) {
  check(same_shape(a.src, a.dst), "shapes", "cast");
  check(a.src.dtype == a.dst.dtype || a.src.dtype == DType::f32 || a.dst.dtype == DType::f32, "dtypes", "cast");
  check(!a.accumulate || a.dst.dtype == DType::f32, "accumulate", "cast");
}

void check_gather_rows(const GatherArgs& a, const OpLimits*) { check_rows(a.src, a.dst, "gather_rows"); }
void check_scatter_rows(const ScatterArgs& a, const OpLimits*) { check_rows(a.dst, a.src, "scatter_rows"); }
void check_adamw(const AdamWArgs& a, const OpLimits*) { check(a.parts && a.count >= 0 && a.blocks >= 0 && a.state, "parts or state", "adamw"); }
void check_clip(const ClipArgs& a, const OpLimits*) {
  check(a.n >= 0 && a.state && a.learning_rates && a.rates >= 1 && a.grad_factor > 0 && a.tokens > 0 && a.growth_steps >= 0, "state", "clip");
}

}  // namespace lowrank
