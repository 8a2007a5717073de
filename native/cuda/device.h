// What the backend needs of a device beside kernels: memory, copies and matrix products. A GPU (gpu.cpp), or the emulation.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/tensor.h"
#include "cuda/code_product.h"
#include "cuda/stream.h"

namespace lowrank::cuda {

// c (=|+=) alpha op(a) op(b) in f32, rounded once; op: transposed or not. a and b are of one dtype, c of theirs or f32.
struct Product {
  Mat a, b, c;
  bool transposes_a = false, transposes_b = false;
  float alpha = 1;
  bool accumulates = false;
  // Rows of `a` are tokens, of which any number may come: see ProductPlans. Else the shape is one of a few.
  bool has_any_rows = true;
  // So many products of matrices that lie these elements apart; a, b and c are the first one's.
  int64_t count = 1, a_step = 0, b_step = 0, c_step = 0;

  int64_t inner() const { return transposes_a ? a.rows : a.cols; }
};
// Error E_INTERNAL where the matrices do not fit.
void check_product(const Product&);

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;  // such as "cuda:0"
  // The same for the same device in another process of this machine, whatever number it has there.
  virtual std::string identity() const = 0;
  // Zero-filled memory, 256-byte aligned. Error E_MEMORY
  virtual std::shared_ptr<void> allocate(int64_t bytes) = 0;
  // In order with all that was enqueued. `host` may change when upload returns; download returns with the bytes. Error E_DEVICE
  virtual void upload(const void* host, int64_t bytes, void* to) = 0;
  virtual void download(const void* from, int64_t bytes, void* host) = 0;
  // Two queues: the stream of operations, and one of copies between this memory and that of shared_memory(). Neither waits for the other but at events: one
  // happens when what its queue had been given before the last mark is done. What is enqueued after await() comes after it.
  enum class Queue { operations, copies };
  static constexpr int kEvents = 4;
  virtual void copy_beside(const void* from, int64_t bytes, void* to) = 0;
  virtual void mark(int event, Queue) = 0;
  virtual void await(int event, Queue) = 0;
  virtual void await(int event) = 0;  // the host does

  // Until all that was enqueued is done. Error E_DEVICE
  virtual void wait() = 0;
  // Whether it is. Error E_DEVICE
  virtual bool is_done() = 0;
  // Where plans_only, it is chosen how this product is computed, and those of fewer rows of `a`, and nothing is computed.
  virtual void product(const Product&) = 0;
  virtual void product(const CodeProduct&) = 0;  // which is_aligned()
  // How products are computed, as text, and the same way as a text says; returns why that cannot be, or nothing.
  virtual std::string plans() const { return ""; }
  virtual std::string take_plans(const std::string&) { return ""; }
  // What `enqueue` enqueues, for replay(), which enqueues all of it at once, on both queues: it begins when both are done,
  // and operations that come next wait for all of it. Nothing of it runs before, and it has no uploads and downloads. Empty: the device cannot.
  struct Recording {
    std::shared_ptr<void> owner;
    int64_t nodes = 0;  // kernels and the like
  };
  virtual Recording record(const std::function<void()>& enqueue) = 0;
  virtual void replay(const Recording&) = 0;
  virtual Stream stream() const = 0;
};

}  // namespace lowrank::cuda
