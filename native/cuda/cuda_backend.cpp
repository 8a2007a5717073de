#include "cuda/cuda_backend.h"

#include <algorithm>

#include "cuda/attention_products.h"
#include "cuda/nccl_reducer.h"
#include "cuda/system.h"
#include "quant/moments.h"

namespace lowrank::cuda {

thread_local bool plans_only = false;

void check_product(const Product& p) {
  const int64_t m = p.transposes_a ? p.a.cols : p.a.rows, n = p.transposes_b ? p.b.rows : p.b.cols, k = p.transposes_b ? p.b.cols : p.b.rows;
  check(p.c.rows == m && p.c.cols == n && p.inner() == k, "shapes", "product");
  check(p.a.dtype == p.b.dtype && (p.c.dtype == p.a.dtype || p.c.dtype == DType::f32), "dtypes", "product");
}

CudaBackend::CudaBackend(std::unique_ptr<Device> device) : device_(std::move(device)), stream_(device_->stream()), lanes_(*device_), repeats_(*device_) {
  tables_ = {copy(kNf4Values, 16), copy(kFp4Values, 16), copy(moment_map(Moment::first), 256), copy(moment_map(Moment::second), 256)};
}

Memory CudaBackend::allocate(int64_t bytes) { return {device_->allocate(bytes), bytes}; }
Memory CudaBackend::allocate_host(int64_t bytes) { return shared_memory(bytes); }
void CudaBackend::upload(const void* host, int64_t bytes, void* to) { device_->upload(host, bytes, to); }
void CudaBackend::download(const void* from, int64_t bytes, void* host) { device_->download(from, bytes, host); }

template <class T>
const T* CudaBackend::copy(const T* host, int64_t n) {
  const int64_t bytes = n * int64_t(sizeof(T));
  copies_.push_back(device_->allocate(bytes));
  device_->upload(host, bytes, copies_.back().get());
  return static_cast<const T*>(copies_.back().get());
}

const void* CudaBackend::copy_rows(const char* host, int64_t rows, int64_t bytes, int64_t stride) {
  constexpr int64_t kStrip = int64_t(256) << 10;  // leaves from pinned memory, without anybody waiting
  copies_.push_back(device_->allocate(rows * stride));
  char* const to = static_cast<char*>(copies_.back().get());
  const int64_t at_a_time = std::clamp<int64_t>(kStrip / stride, 1, rows);
  std::vector<char> strip(size_t(at_a_time * stride));
  for (int64_t first = 0; first < rows; first += at_a_time) {
    const int64_t n = std::min(at_a_time, rows - first);
    for (int64_t r = 0; r < n; r++) std::copy_n(host + (first + r) * bytes, bytes, strip.data() + r * stride);
    device_->upload(strip.data(), n * stride, to + first * stride);
  }
  return to;
}

Weight CudaBackend::resident(const Weight& w, const AdapterColumns& columns) {
  Weight here = w;
  const int64_t n = w.rows * w.cols;
  if (w.plain() && !w.transposed) here.spare = resident_columns(w.rows, w.cols, dtype_of(w.format), columns, switches_) - w.cols;
  if (here.spare > 0) {
    here.data = copy_rows(static_cast<const char*>(w.data), w.rows, format_bytes(w.format, w.cols), format_bytes(w.format, w.cols + here.spare));
    return here;
  }
  here.data = copy(static_cast<const char*>(w.data), is_four_bit(w.format) ? format_bytes(w.format, n) : w.rows * format_bytes(w.format, w.cols));
  if (!w.absmax) return here;
  const int64_t maxima = w.format == Format::i8 ? w.rows : (n + w.block_size - 1) / w.block_size;
  const int64_t floats = w.absmax_codes ? (maxima + 255) / 256 : maxima;
  here.absmax = copy(static_cast<const char*>(w.absmax), floats * 4);
  if (!w.absmax_codes) return here;
  here.absmax_codes = copy(w.absmax_codes, maxima);
  here.absmax_map = copy(w.absmax_map, 256);
  return here;
}

const float* CudaBackend::resident(const float* values, int64_t n) { return copy(values, n); }

DeviceSums CudaBackend::join(Group& group) { return join_over_nccl(*device_, group); }

void CudaBackend::do_set_workspace(const OpLimits& limits, void* memory) {
  limits_ = limits;
  work_ = Workspace(limits, switches_);
  copied_ = {};
  memory_ = static_cast<char*>(memory);
  repeats_.forget();
}

// How sums are made decides the last bits, as algorithms do.
std::string CudaBackend::plans() const {
  const std::string text = device_->plans();
  return text.empty() ? text : switches_.before(text);
}

std::string CudaBackend::take_plans(const std::string& text) {
  std::string why;
  const std::string rest = switches_.behind(text, why);
  return why.empty() ? device_->take_plans(rest) : why;
}

void CudaBackend::plan(const std::function<void()>& enqueue) {
  const struct PlansOnly {
    explicit PlansOnly(Backend& b) : backend(b), observer(b.observe(nullptr)) { plans_only = true; }
    ~PlansOnly() {
      plans_only = false;
      backend.observe(observer);
    }
    Backend& backend;
    Observer* const observer;  // no operation runs that it could be told of
  } here(*this);
  enqueue();
}

void CudaBackend::repeat(const RepeatKey& key, const std::function<void()>& enqueue) {
  if (observed()) return enqueue();  // each operation is waited for
  repeats_.run(key, enqueue);
}

void CudaBackend::enqueue_embedding_fwd(const EmbeddingArgs& a) { kernels::embedding_fwd(a, tables_, stream_); }
void CudaBackend::enqueue_norm_fwd(const NormFwdArgs& a) { kernels::norm_fwd(a, stream_); }
void CudaBackend::enqueue_norm_apply(const NormApplyArgs& a) { kernels::norm_apply(a, stream_); }
void CudaBackend::enqueue_norm_bwd(const NormBwdArgs& a) { kernels::norm_bwd(a, stream_); }
void CudaBackend::enqueue_inner_norm_fwd(const InnerNormFwdArgs& a) { kernels::inner_norm_fwd(a, stream_); }
void CudaBackend::enqueue_inner_norm_bwd(const InnerNormBwdArgs& a) { kernels::inner_norm_bwd(a, stream_); }
void CudaBackend::enqueue_columns_fwd(const ColumnsFwdArgs& a) { kernels::columns_fwd(a, stream_); }
void CudaBackend::enqueue_embedding_bwd(const EmbeddingBwdArgs& a) { kernels::embedding_bwd(a, stream_); }
void CudaBackend::enqueue_columns_bwd(const ColumnsBwdArgs& a) { kernels::columns_bwd(a, stream_); }
void CudaBackend::enqueue_row_norms(const RowNormsArgs& a) { kernels::row_norms(a, tables_, stream_); }
void CudaBackend::enqueue_dropout(const DropoutArgs& a) { kernels::dropout(a, stream_); }
void CudaBackend::enqueue_add_noise(const NoiseArgs& a) { kernels::add_noise(a, stream_); }
void CudaBackend::enqueue_rope(const RopeArgs& a) { kernels::rope(a, stream_); }
void CudaBackend::enqueue_glu_fwd(const GluFwdArgs& a) { kernels::glu_fwd(a, stream_); }
void CudaBackend::enqueue_glu_bwd(const GluBwdArgs& a) { kernels::glu_bwd(a, stream_); }
void CudaBackend::enqueue_dense_fwd(const DenseFwdArgs& a) { kernels::dense_fwd(a, stream_); }
void CudaBackend::enqueue_dense_bwd(const DenseBwdArgs& a) { kernels::dense_bwd(a, stream_); }
void CudaBackend::enqueue_label_loss(const LabelLossArgs& a) { kernels::label_loss(a, stream_); }
void CudaBackend::enqueue_soft_cap(const SoftCapArgs& a) { kernels::soft_cap(a, stream_); }
void CudaBackend::enqueue_sample(const SampleArgs& a) {
  kernels::sample(a, scratch<uint64_t>(work_.sample_tops), scratch<uint64_t>(work_.sample_weights), stream_);
}
void CudaBackend::enqueue_zero(const ZeroArgs& a) { kernels::zero(a, stream_); }
void CudaBackend::enqueue_cast(const CastArgs& a) { kernels::cast(a, stream_); }
void CudaBackend::enqueue_gather_rows(const GatherArgs& a) { kernels::gather_rows(a, stream_); }
void CudaBackend::enqueue_scatter_rows(const ScatterArgs& a) { kernels::scatter_rows(a, stream_); }
void CudaBackend::enqueue_clip(const ClipArgs& a) { kernels::clip(a, scratch<double>(work_.partial_sums), stream_); }
void CudaBackend::enqueue_adamw(const AdamWArgs& a) { kernels::adamw(a, tables_, stream_); }

void CudaBackend::enqueue_attention_fwd(const AttentionFwdArgs& a) {
  if (a.shape.head_dim > kernels::kMostHeadDim) throw Error("E_DEVICE", "Heads of more than " + std::to_string(kernels::kMostHeadDim) + " columns are for --device cpu.");
  const AttentionParts& parts = work_.attention;
  if (parts.queries == 0 && kernels::takes_flash_attention(a)) kernels::flash_attention_fwd(a, stream_);
  else if (kernels::takes_few_queries(a)) kernels::few_queries(a, stream_);
  else AttentionProducts(*device_, parts, limits_.act, memory_).forward(a);
}

void CudaBackend::enqueue_attention_bwd(const AttentionBwdArgs& a) {
  const AttentionParts& parts = work_.attention;
  if (parts.queries == 0 && kernels::takes_flash_attention(a)) kernels::flash_attention_bwd(a, scratch<float>(work_.delta), stream_);
  else AttentionProducts(*device_, parts, limits_.act, memory_).backward(a);
}

}  // namespace lowrank::cuda
