#include "ops/flop.h"

namespace lowrank {

namespace {

double products(const Mat& x, const Weight& w) { return 2.0 * double(x.rows) * double(w.rows) * double(w.cols); }
double adapter(const Mat& x, const Weight& w, const Lora* l, int times) {
  return l ? 2.0 * times * double(x.rows) * double(l->rank) * double(w.rows + w.cols) : 0;
}
// Scores and weighted values of the pairs that the mask leaves.
double attention(const AttentionShape& s) {
  double pairs = 0;
  for (int64_t i = 0; i < s.sequences; i++) {
    const double nq = s.q_offsets[i + 1] - s.q_offsets[i], nk = s.kv_offsets[i + 1] - s.kv_offsets[i];
    pairs += s.causal ? nq * (nk - nq) + nq * (nq + 1) / 2 : nq * nk;
    for (int64_t q = 0; s.window > 0 && q < int64_t(nq); q++) pairs -= double(s.hidden(int64_t(nk - nq) + q + 1));
  }
  return 4 * pairs * double(s.heads * s.head_dim);
}

}  // namespace

double flop(const LinearFwdArgs& a) { return products(a.x, a.w) + adapter(a.x, a.w, a.lora, 1); }
double flop(const LinearBwdArgs& a) {
  double sum = 0;
  // du and dx, db and da
  for (const LinearBwdArgs* l = &a; l; l = l->also) sum += (a.dx ? products(l->dy, l->w) : 0) + adapter(l->dy, l->w, l->lora, 2);
  return sum;
}
double flop(const AttentionFwdArgs& a) { return attention(a.shape); }
double flop(const AttentionBwdArgs& a) { return 2.5 * attention(a.shape); }
double flop(const HeadArgs& a) { return products(a.x, a.w) * (a.dx ? 2 : 1); }
double flop(const DenseFwdArgs& a) { return 2.0 * double(a.x.rows) * double(a.x.cols) * double(a.y.cols); }
double flop(const DenseBwdArgs& a) { return 2.0 * double(a.d.rows) * double(a.d.cols) * double(a.dy.cols) * (a.dw ? 2 : 1); }

}  // namespace lowrank
