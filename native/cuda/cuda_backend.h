// The operations on a device. What one operation enqueues runs in the order of the calls; none waits for the device but download, and
// a profile.
#pragma once
#include <memory>
#include <vector>

#include "cuda/device.h"
#include "cuda/kernels.h"
#include "cuda/lanes.h"
#include "cuda/repeats.h"
#include "cuda/switches.h"
#include "cuda/workspace.h"
#include "ops/backend.h"

namespace lowrank::cuda {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::unique_ptr<Device>);

  std::string name() const override { return device_->name(); }
  Memory allocate(int64_t bytes) override;
  Memory allocate_host(int64_t bytes) override;
  void upload(const void* host, int64_t bytes, void* to) override;
  void download(const void* from, int64_t bytes, void* host) override;
  void copy(Lane lane, const void* from, int64_t bytes, void* to) override { lanes_.copy(lane, from, bytes, to); }
  void release(Lane lane) override { lanes_.release(lane); }
  void acquire(Lane lane) override { lanes_.acquire(lane); }
  void wait(Lane lane) override { lanes_.wait(lane); }
  Weight resident(const Weight&, const AdapterColumns&) override;
  const float* resident(const float* values, int64_t n) override;
  int64_t workspace_bytes(const OpLimits& limits) const override { return cuda::workspace_bytes(limits, switches_); }
  DeviceSums join(Group&) override;
  void plan(const std::function<void()>& enqueue) override;
  void repeat(const RepeatKey&, const std::function<void()>& enqueue) override;
  std::string plans() const override;
  std::string take_plans(const std::string& text) override;
  bool reads_varying() const override { return true; }
  int64_t repeated() const override { return repeats_.replayed(); }
  int64_t largest_recording() const override { return repeats_.largest(); }

 private:
  void do_set_workspace(const OpLimits& limits, void* memory) override;
  // An operation that is timed is waited for.
#define LOWRANK_OP(operation, Args)               \
  void do_##operation(const Args& a) override {   \
    enqueue_##operation(a);                       \
    if (observed()) device_->wait();              \
  }                                               \
  void enqueue_##operation(const Args&);
#include "ops/operations.inc"

  template <class T>
  T* scratch(int64_t offset) const { return reinterpret_cast<T*>(memory_ + offset); }
  Mat scratch(int64_t offset, DType t, int64_t rows, int64_t cols) const { return Mat(memory_ + offset, t, rows, cols); }
  template <class T>
  const T* copy(const T* host, int64_t n);
  // Rows of so many bytes, `stride` bytes apart on the device.
  const void* copy_rows(const char* host, int64_t rows, int64_t bytes, int64_t stride);

  bool is_decoded(const Weight& w) const { return !w.plain() || dtype_of(w.format) != limits_.act; }
  // Rows [first, first + rows) of a weight in act: where they are, or decoded into scratch memory until the next call.
  // further: columns of the scratch memory behind each of these rows.
  struct WeightRows {
    Mat mat;  // (rows, I), or transposed
    bool transposed;
  };
  WeightRows weight_rows(const Weight& w, int64_t first, int64_t rows, int64_t further = 0) const;
  // y (=|+=) x (rows [first, first + y.cols) of w)^T
  void product(const Mat& x, const Weight& w, int64_t first, const Mat& y, bool accumulates) const;
  void product_bwd(const Mat& dy, const WeightRows& w, const Mat& dx, bool accumulates) const;  // dx (=|+=) dy w
  int64_t weight_rows_at_a_time(const Weight& w) const;
  // An f32 matrix in act.
  Mat as_act(const float* values, int64_t rows, int64_t cols, int64_t offset) const;
  void product(const Mat& a, const Mat& b, bool transposes_b, const Mat& c, bool accumulates, float alpha = 1) const;
  void rows_fwd(const LinearFwdArgs&, int64_t first, int64_t rows);
  void rows_bwd(const LinearBwdArgs&, int64_t first, int64_t rows) const;
  // Whether both terms of the rows x are one product, [x | u] [W | B]^T; and these two. x is copied where the copy is not of it already.
  bool is_copied(const Mat& x) const { return copied_.data == x.data && copied_.rows == x.rows && copied_.cols == x.cols && copied_.ld == x.ld; }
  bool is_bordered(const LinearFwdArgs&, const Mat& x) const;
  Mat with_columns(const Mat& x, const Mat& u);
  Mat with_columns(const Weight& w, const Lora&, int64_t first, int64_t rows) const;
  kernels::Outliers outliers() const;
  Mat dropped_rows(const Mat& x, const Dropout&, int64_t first) const;

  std::unique_ptr<Device> device_;
  Stream stream_;
  kernels::Tables tables_;
  std::vector<std::shared_ptr<void>> copies_;
  OpLimits limits_;
  Workspace work_;
  char* memory_ = nullptr;
  Lanes lanes_;
  Repeats repeats_;
  const Switches switches_ = Switches::of_environment();
  Mat copied_;  // the rows whose copy with_columns() made last; of linears that read the same
};

}  // namespace lowrank::cuda
