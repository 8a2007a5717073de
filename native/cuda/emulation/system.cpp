// The emulation as a device: its memory is this process's, and a product is a loop that asks for the same leading dimensions as cuBLASLt.
#include "cuda/system.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "cuda/emulation/emulation.h"

namespace lowrank::cuda {

namespace {

std::shared_ptr<void> take(int64_t bytes) {
  const size_t size = (size_t(bytes) + 255) / 256 * 256 + 256;
  void* const p = std::aligned_alloc(256, size);
  if (!p) throw Error("E_MEMORY", "The emulation has no memory of " + std::to_string(bytes) + " bytes.");
  std::memset(p, 0, size);
  return {p, std::free};
}

class Emulated final : public Device {
 public:
  std::string name() const override { return "cuda:0"; }
  // Each process has one of its own.
  std::string identity() const override { return "the emulation of process " + std::to_string(getpid()); }
  std::shared_ptr<void> allocate(int64_t bytes) override { return take(bytes); }
  void upload(const void* host, int64_t bytes, void* to) override {
    check(!emulation::recording, "an upload that is recorded", "upload");
    std::memcpy(to, host, size_t(bytes));
  }
  void download(const void* from, int64_t bytes, void* host) override {
    check(!emulation::recording, "a download that is recorded", "download");
    std::memcpy(host, from, size_t(bytes));
  }
  void wait() override {}
  bool is_done() override { return true; }
  Stream stream() const override { return nullptr; }

  Recording record(const std::function<void()>& enqueue) override {
    const auto all = std::make_shared<emulation::Recording>();
    emulation::recording = all.get();
    try {
      enqueue();
    } catch (...) {
      emulation::recording = nullptr;
      throw;
    }
    emulation::recording = nullptr;
    return {all, int64_t(all->size())};
  }
  void replay(const Recording& r) override {
    for (const auto& launch : *static_cast<emulation::Recording*>(r.owner.get())) launch();
  }

  void product(const Product& p) override {
    check_product(p);
    if (plans_only) return;
    if (emulation::recording) return emulation::recording->push_back([this, p] { product(p); });
    for (const Mat* m : {&p.a, &p.b, &p.c}) check(m->ld >= m->cols, "a leading dimension", "product");
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

  void product(const CodeProduct& p) override {
    check(p.is_aligned(), "alignment", "product of codes");
    if (plans_only) return;
    if (emulation::recording) return emulation::recording->push_back([this, p] { product(p); });
    for (int64_t m = 0; m < p.m; m++) {
      for (int64_t n = 0; n < p.n; n++) {
        int32_t sum = 0;
        for (int64_t k = 0; k < p.k; k++) sum += int32_t(p.a[m * p.k + k]) * int32_t(p.b[n * p.k + k]);
        p.c[m * p.n + n] = sum;
      }
    }
  }

 private:
  static std::vector<float> widened(const Mat& x, bool as_it_is) {
    std::vector<float> v(static_cast<size_t>(x.rows * x.cols));
    for (int64_t r = 0; r < x.rows; r++) {
      for (int64_t c = 0; c < x.cols; c++) v[size_t(as_it_is ? r * x.cols + c : c * x.rows + r)] = x.get(r, c);
    }
    return v;
  }
};

}  // namespace

void check_launch(const char*) {}

Devices find_devices() { return {{{"cuda:0", "the emulation, for tests", int64_t(1) << 34, int64_t(1) << 34}}, ""}; }

std::unique_ptr<Device> open_device(int number) {
  if (number != 0) throw Error("E_DEVICE", "There is no device cuda:" + std::to_string(number) + ": the emulation has cuda:0 alone.", "device");
  return std::make_unique<Emulated>();
}

Memory shared_memory(int64_t bytes) { return {take(bytes), bytes}; }

}  // namespace lowrank::cuda
