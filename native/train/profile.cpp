#include "train/profile.h"

#include <algorithm>

namespace lowrank {

namespace {

double products(const Mat& x, const Weight& w) { return 2.0 * double(x.rows) * double(w.rows) * double(w.cols); }
double adapter(const Mat& x, const Weight& w, const Lora* l, int times) {
  return l ? 2.0 * times * double(x.rows) * double(l->rank) * double(w.rows + w.cols) : 0;
}
// Scores and weighted values of the pairs that the causal mask leaves.
double attention(const AttentionShape& s) {
  double pairs = 0;
  for (int64_t i = 0; i < s.sequences; i++) {
    const double nq = s.q_offsets[i + 1] - s.q_offsets[i], nk = s.kv_offsets[i + 1] - s.kv_offsets[i];
    pairs += nq * (nk - nq) + nq * (nq + 1) / 2;
  }
  return 4 * pairs * double(s.heads * s.head_dim);
}

}  // namespace

std::vector<ProfileEvent> ProfilingBackend::take() {
  std::vector<ProfileEvent> events;
  events.swap(events_);
  return events;
}

template <class F>
auto ProfilingBackend::timed(const std::string& name, double flop, F&& call) {
  struct Stopwatch {
    ProfilingBackend& profile;
    const std::string& name;
    double flop;
    Clock::time_point begin = Clock::now();
    ~Stopwatch() {
      if (profile.events_.size() >= kMostEvents) return;
      const std::chrono::duration<double> before = begin - profile.start_, took = Clock::now() - begin;
      profile.events_.push_back({name, before.count(), took.count(), flop});
    }
  };
  const Stopwatch watch{*this, name, flop};
  return call();
}

void ProfilingBackend::embedding_fwd(const EmbeddingArgs& a) { timed("embedding", 0, [&] { backend_->embedding_fwd(a); }); }
void ProfilingBackend::norm_fwd(const NormFwdArgs& a) { timed("norm_fwd", 0, [&] { backend_->norm_fwd(a); }); }
void ProfilingBackend::norm_apply(const NormApplyArgs& a) { timed("norm_apply", 0, [&] { backend_->norm_apply(a); }); }
void ProfilingBackend::norm_bwd(const NormBwdArgs& a) { timed("norm_bwd", 0, [&] { backend_->norm_bwd(a); }); }
void ProfilingBackend::linear_fwd(const LinearFwdArgs& a) {
  timed(std::string("linear_fwd ") + module_, products(a.x, a.w) + adapter(a.x, a.w, a.lora, 1), [&] { backend_->linear_fwd(a); });
}
void ProfilingBackend::linear_bwd(const LinearBwdArgs& a) {
  double flop = 0;
  // du and dx, db and da
  for (const LinearBwdArgs* l = &a; l; l = l->also) flop += (a.dx ? products(l->dy, l->w) : 0) + adapter(l->dy, l->w, l->lora, 2);
  timed(std::string("linear_bwd ") + module_, flop, [&] { backend_->linear_bwd(a); });
}
void ProfilingBackend::rope(const RopeArgs& a) { timed("rope", 0, [&] { backend_->rope(a); }); }
void ProfilingBackend::attention_fwd(const AttentionFwdArgs& a) {
  timed("attention_fwd", attention(a.shape), [&] { backend_->attention_fwd(a); });
}
void ProfilingBackend::attention_bwd(const AttentionBwdArgs& a) {
  timed("attention_bwd", 2.5 * attention(a.shape), [&] { backend_->attention_bwd(a); });
}
void ProfilingBackend::swiglu_fwd(const SwigluFwdArgs& a) { timed("swiglu_fwd", 0, [&] { backend_->swiglu_fwd(a); }); }
void ProfilingBackend::swiglu_bwd(const SwigluBwdArgs& a) { timed("swiglu_bwd", 0, [&] { backend_->swiglu_bwd(a); }); }
void ProfilingBackend::head(const HeadArgs& a) {
  timed("head", products(a.x, a.w) * (a.dx ? 2 : 1), [&] { backend_->head(a); });
}
void ProfilingBackend::zero(const Mat& x) { timed("zero", 0, [&] { backend_->zero(x); }); }
void ProfilingBackend::cast(const Mat& src, const Mat& dst) { timed("cast", 0, [&] { backend_->cast(src, dst); }); }
void ProfilingBackend::gather_rows(const Mat& src, const int32_t* rows, const Mat& dst) {
  timed("gather_rows", 0, [&] { backend_->gather_rows(src, rows, dst); });
}
void ProfilingBackend::scatter_rows(const Mat& src, const int32_t* rows, const Mat& dst) {
  timed("scatter_rows", 0, [&] { backend_->scatter_rows(src, rows, dst); });
}
void ProfilingBackend::adamw_8bit(const AdamW8bitArgs& a) { timed("adamw_8bit", 0, [&] { backend_->adamw_8bit(a); }); }
void ProfilingBackend::adamw(const AdamWArgs& a) { timed("adamw", 0, [&] { backend_->adamw(a); }); }
double ProfilingBackend::sum_squares(const float* x, int64_t n) {
  return timed("sum_squares", 0, [&] { return backend_->sum_squares(x, n); });
}

double matmul_peak(Backend& backend, DType act, const OpLimits& limits, std::span<char> scratch) {
  constexpr int64_t kMost = 1024;
  // The best of so many seconds after the last better one: a processor that wakes up, or that others use just then, is not at its best.
  constexpr double kWait = 0.05, kLongest = 0.5;
  const int64_t rows = std::min(kMost, limits.tokens), n = std::min(kMost, limits.features), bytes = dtype_bytes(act);
  const auto rows_bytes = size_t((rows * n * bytes + 63) / 64 * 64), weight_bytes = size_t(n * n * bytes + 63) / 64 * 64;
  std::vector<char> own(scratch.size() < 2 * rows_bytes + weight_bytes ? 2 * rows_bytes + weight_bytes : 0);
  if (!own.empty()) scratch = own;
  const auto x = scratch.first(rows_bytes), w = scratch.subspan(rows_bytes, weight_bytes), y = scratch.subspan(rows_bytes + weight_bytes, rows_bytes);
  // Not zeros: processors lower their clock by what the multipliers have to switch.
  uint32_t state = 1;
  for (int64_t i = 0; i < int64_t(rows_bytes + weight_bytes) / bytes; i++) {
    state = state * 1664525 + 1013904223;
    store_f32(scratch.data(), act, i, float(int32_t(state)) * 0x1p-31f);
  }
  double best = 0, now = 0, found = 0;
  for (const auto start = std::chrono::steady_clock::now(); now < std::min(found + kWait, kLongest);) {
    const double begin = now;
    backend.linear_fwd({.x = Mat(x.data(), act, rows, n),
                        .w = {.data = w.data(), .format = format_of(act), .rows = n, .cols = n},
                        .u = {},
                        .y = Mat(y.data(), act, rows, n)});
    now = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double speed = 2.0 * double(rows * n * n) / (now - begin);
    if (speed <= best) continue;
    best = speed;
    found = now;
  }
  return best;
}

}  // namespace lowrank
