// The emulation as a device: its memory is this process's, and a product is a loop that asks for the same leading dimensions as cuBLASLt.
#include "cuda/system.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "cuda/emulation/emulation.h"
#include "cuda/emulation/queues.h"

namespace lowrank::cuda {

namespace {

using emulation::Queues;

// Work that reads it may still be enqueued when it is freed.
std::shared_ptr<void> memory_of(int64_t bytes, std::function<void()> finish) {
  const size_t size = (size_t(bytes) + 255) / 256 * 256 + 256;
  void* const p = std::aligned_alloc(256, size);
  if (!p) throw Error("E_MEMORY", "The emulation has no memory of " + std::to_string(bytes) + " bytes.");
  std::memset(p, 0, size);
  return {p, [finish = std::move(finish)](void* memory) {
            finish();
            std::free(memory);
          }};
}

void take(void* stream, std::function<void()> launch) { static_cast<Queues*>(stream)->push(Device::Queue::operations, std::move(launch)); }

class Emulated final : public Device {
 public:
  Emulated() { emulation::take = take; }
  ~Emulated() override { queues_->finish(); }
  std::string name() const override { return "cuda:0"; }
  // Each process has one of its own.
  std::string identity() const override { return "the emulation of process " + std::to_string(getpid()); }
  std::shared_ptr<void> allocate(int64_t bytes) override {
    return memory_of(bytes, [queues = queues_] { queues->finish(); });
  }
  void upload(const void* host, int64_t bytes, void* to) override {
    check(!queues_->records(), "an upload that is recorded", "upload");
    const auto* const from = static_cast<const char*>(host);
    enqueue([to, copy = std::vector<char>(from, from + bytes)] { std::copy(copy.begin(), copy.end(), static_cast<char*>(to)); });
  }
  void download(const void* from, int64_t bytes, void* host) override {
    check(!queues_->records(), "a download that is recorded", "download");
    queues_->finish();
    std::memcpy(host, from, size_t(bytes));
  }
  void copy_beside(const void* from, int64_t bytes, void* to) override {
    queues_->push(Queue::copies, [=] { std::memcpy(to, from, size_t(bytes)); });
  }
  void mark(int event, Queue q) override { queues_->mark(event, q); }
  void await(int event, Queue q) override { queues_->await(event, q); }
  void await(int event) override { queues_->wait(event); }
  void wait() override { queues_->finish(); }
  bool is_done() override {
    queues_->finish();
    return true;
  }
  // NCCL's stand-in, who asks for it each time, does its part at once.
  Stream stream() const override {
    queues_->finish();
    return queues_.get();
  }

  Recording record(const std::function<void()>& enqueue) override {
    const auto all = std::make_shared<Queues::Recording>();
    queues_->begin(*all);
    try {
      enqueue();
    } catch (...) {
      queues_->end();
      throw;
    }
    queues_->end();
    return {all, all->nodes};
  }
  void replay(const Recording& r) override { queues_->replay(*static_cast<const Queues::Recording*>(r.owner.get())); }

  void product(const Product& p) override {
    check_product(p);
    for (const Mat* m : {&p.a, &p.b, &p.c}) check(m->ld >= m->cols, "a leading dimension", "product");
    enqueue([p] {
      const auto at = [](const Mat& m, int64_t elements) { return Mat(m.row(0) + elements * dtype_bytes(m.dtype), m.dtype, m.rows, m.cols, m.ld); };
      for (int64_t i = 0; i < p.count; i++) {
        Product one = p;
        one.a = at(p.a, i * p.a_step);
        one.b = at(p.b, i * p.b_step);
        one.c = at(p.c, i * p.c_step);
        multiply(one);
      }
    });
  }
  void product(const CodeProduct& p) override {
    check(p.is_aligned(), "alignment", "product of codes");
    enqueue([p] { multiply(p); });
  }

 private:
  void enqueue(Queues::Work work) {
    if (!plans_only) queues_->push(Queue::operations, std::move(work));
  }

  static void multiply(const Product& p) {
    const int64_t inner = p.inner();
    // Widened once, both with the sum's direction as rows.
    const std::vector<float> a = widened(p.a, !p.transposes_a), b = widened(p.b, p.transposes_b);
    for (int64_t m = 0; m < p.c.rows; m++) {
      for (int64_t n = 0; n < p.c.cols; n++) {
        float sum = 0;
        const float *x = a.data() + m * inner, *y = b.data() + n * inner;
        for (int64_t k = 0; k < inner; k++) sum += x[k] * y[k];
        sum *= p.alpha;
        p.c.set(m, n, p.accumulates ? p.c.get(m, n) + sum : sum);
      }
    }
  }

  static void multiply(const CodeProduct& p) {
    for (int64_t m = 0; m < p.m; m++) {
      for (int64_t n = 0; n < p.n; n++) {
        int32_t sum = 0;
        for (int64_t k = 0; k < p.k; k++) sum += int32_t(p.a[m * p.k + k]) * int32_t(p.b[n * p.k + k]);
        p.c[m * p.n + n] = sum;
      }
    }
  }

  static std::vector<float> widened(const Mat& x, bool as_it_is) {
    std::vector<float> v(static_cast<size_t>(x.rows * x.cols));
    for (int64_t r = 0; r < x.rows; r++) {
      for (int64_t c = 0; c < x.cols; c++) v[size_t(as_it_is ? r * x.cols + c : c * x.rows + r)] = x.get(r, c);
    }
    return v;
  }

  const std::shared_ptr<Queues> queues_ = emulation::make_queues();
};

}  // namespace

void check_launch(const char*) {}

Devices find_devices() { return {{{"cuda:0", "the emulation, for tests", int64_t(1) << 34, int64_t(1) << 34}}, ""}; }

std::unique_ptr<Device> open_device(int number) {
  if (number != 0) throw Error("E_DEVICE", "There is no device cuda:" + std::to_string(number) + ": the emulation has cuda:0 alone.", "device");
  return std::make_unique<Emulated>();
}

Memory shared_memory(int64_t bytes) { return {memory_of(bytes, emulation::finish_all), bytes}; }

}  // namespace lowrank::cuda
