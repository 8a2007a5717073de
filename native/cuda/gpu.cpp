// NVIDIA GPUs: the CUDA runtime for memory and copies, cuBLASLt for products.
#include <cuda_runtime.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "base/error.h"
#include "cuda/device_memory.h"
#include "cuda/product_plans.h"
#include "cuda/system.h"

namespace lowrank::cuda {

namespace {

constexpr int kLeastMajor = 8;  // compute capability 8.0: bf16 products
constexpr int64_t kStaged = int64_t(1) << 20;

std::string version_text(int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); }

[[noreturn]] void fail(const std::string& what) { throw Error("E_DEVICE", what, "device"); }

void expect(cudaError_t e, const char* what) {
  if (e == cudaSuccess) return;
  fail(std::string("The GPU failed in ") + what + ": " + cudaGetErrorString(e) + " (" + cudaGetErrorName(e) + "). Nothing of this run can go on.");
}

// The number of devices; why there are none is in `missing`.
int count_devices(std::string& missing) {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t e = cudaGetDeviceCount(&count);
  if (e == cudaSuccess && count > 0) return count;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (e == cudaErrorInsufficientDriver && driver == 0) {
    missing = "there is no NVIDIA driver on this machine.";
  } else if (e == cudaErrorInsufficientDriver) {
    missing = "the NVIDIA driver is too old: it knows CUDA " + version_text(driver) + ", and this backend was built with " + version_text(runtime) + ". Install a newer driver.";
  } else if (e == cudaErrorNoDevice || e == cudaSuccess) {
    missing = "the NVIDIA driver finds no GPU.";
  } else {
    missing = std::string("the NVIDIA driver failed: ") + cudaGetErrorString(e) + ".";
  }
  return 0;
}

// Pinned memory of the host, which copies to the GPU leave without anybody waiting for them: two halves in turn. A half is written again when
// the copies from it are done.
class Staging {
 public:
  Staging() {
    void* p = nullptr;
    expect(cudaHostAlloc(&p, 2 * kStaged, cudaHostAllocDefault), "cudaHostAlloc");
    memory_ = {static_cast<char*>(p), cudaFreeHost};
    for (cudaEvent_t& left : left_) expect(cudaEventCreateWithFlags(&left, cudaEventDisableTiming), "cudaEventCreate");
  }
  ~Staging() {
    for (cudaEvent_t left : left_) cudaEventDestroy(left);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // A copy of at most kStaged bytes, until they are copied on by what is enqueued next.
  const void* copy(const void* host, int64_t bytes, cudaStream_t stream) {
    if (used_ + bytes > kStaged) {
      expect(cudaEventRecord(left_[half_], stream), "cudaEventRecord");
      half_ = 1 - half_;
      used_ = 0;
      expect(cudaEventSynchronize(left_[half_]), "an upload");
    }
    char* const to = memory_.get() + half_ * kStaged + used_;
    std::memcpy(to, host, size_t(bytes));
    used_ += (bytes + 15) / 16 * 16;
    return to;
  }

 private:
  std::unique_ptr<char, decltype(&cudaFreeHost)> memory_{nullptr, cudaFreeHost};
  cudaEvent_t left_[2] = {};
  int half_ = 0;
  int64_t used_ = 0;
};

class Gpu final : public Device {
 public:
  // gpu: its name and what else decides which algorithms cuBLASLt names
  Gpu(int number, const std::string& gpu) : number_(number), lt_(cublaslt()) {
    expect(cudaSetDevice(number), "cudaSetDevice");
    expect(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    expect(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "cudaStreamCreate");
    for (Event& e : events_) expect(cudaEventCreateWithFlags(&e.event, cudaEventDisableTiming), "cudaEventCreate");
    expect(cudaEventCreateWithFlags(&joined_, cudaEventDisableTiming), "cudaEventCreate");
    expect_lt(lt_.create(&handle_), "cublasLtCreate");
    workspace_ = allocate(kProductWorkspace);
    staging_ = std::make_unique<Staging>();
    plans_ = std::make_unique<ProductPlans>(lt_, handle_, gpu, kProductWorkspace);
  }
  ~Gpu() override {
    cudaStreamSynchronize(stream_);
    cudaStreamSynchronize(copies_);
    plans_.reset();
    lt_.destroy(handle_);
    for (const Event& e : events_) cudaEventDestroy(e.event);
    cudaEventDestroy(joined_);
    cudaStreamDestroy(copies_);
    cudaStreamDestroy(stream_);
  }
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  std::string name() const override { return "cuda:" + std::to_string(number_); }
  std::string identity() const override {
    char address[32] = "";
    expect(cudaDeviceGetPCIBusId(address, int(sizeof address), number_), "cudaDeviceGetPCIBusId");
    return std::string("PCI ") + address;
  }
  Stream stream() const override { return stream_; }

  std::shared_ptr<void> allocate(int64_t bytes) override {
    expect(cudaSetDevice(number_), "cudaSetDevice");
    void* p = nullptr;
    if (cudaMalloc(&p, size_t(bytes > 0 ? bytes : 1)) != cudaSuccess) {
      cudaGetLastError();  // the context goes on
      size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      throw Error("E_MEMORY", name() + " has no " + std::to_string(bytes >> 20) + " MiB left: " + std::to_string(free >> 20) + " of " + std::to_string(total >> 20) +
                                  " MiB are free. Another process may have taken the memory since it was planned.");
    }
    const std::shared_ptr<void> owner(p, [](void* memory) { cudaFree(memory); });
    expect(cudaMemsetAsync(p, 0, size_t(bytes), stream_), "cudaMemset");
    join(stream_, copies_);  // else a copy may come before the zeros
    return owner;
  }

  void upload(const void* host, int64_t bytes, void* to) override {
    check(!records_, "an upload that is recorded", "upload");
    const bool staged = bytes <= kStaged;
    expect(cudaMemcpyAsync(to, staged ? staging_->copy(host, bytes, stream_) : host, size_t(bytes), cudaMemcpyDefault, stream_), "an upload");
    if (!staged) expect(cudaStreamSynchronize(stream_), "an upload");
  }
  void download(const void* from, int64_t bytes, void* host) override {
    check(!records_, "a download that is recorded", "download");
    expect(cudaMemcpyAsync(host, from, size_t(bytes), cudaMemcpyDefault, stream_), "a download");
    expect(cudaStreamSynchronize(stream_), "a download");
  }
  void copy_beside(const void* from, int64_t bytes, void* to) override { expect(cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyDefault, copies_), "a copy"); }
  void mark(int event, Queue q) override {
    expect(cudaEventRecord(events_[event].event, of(q)), "cudaEventRecord");
    events_[event].mark = records_ ? Mark::recorded : Mark::made;
  }
  // A recorded pass begins when what came before is done, and its events are of no use outside.
  void await(int event, Queue q) override {
    if (events_[event].mark == (records_ ? Mark::recorded : Mark::made)) expect(cudaStreamWaitEvent(of(q), events_[event].event, 0), "cudaStreamWaitEvent");
  }
  void await(int event) override {
    if (events_[event].mark == Mark::made) expect(cudaEventSynchronize(events_[event].event), "a copy");
  }

  void wait() override {
    expect(cudaStreamSynchronize(stream_), "an operation");
    expect(cudaStreamSynchronize(copies_), "a copy");
  }
  bool is_done() override {
    const cudaError_t e = cudaStreamQuery(stream_);
    if (e == cudaErrorNotReady) return false;
    expect(e, "an operation");
    return true;
  }

  void product(const Product& p) override {
    check_product(p);
    if (plans_only) return plans_->choose(p);
    const float beta = p.accumulates ? 1.f : 0.f;
    multiply(plans_->of(p), &p.alpha, p.a.data, p.b.data, &beta, p.c.data);
  }
  void product(const CodeProduct& p) override {
    check(p.is_aligned(), "alignment", "product of codes");
    if (plans_only) return plans_->choose(p);
    const int32_t alpha = 1, beta = 0;
    multiply(plans_->of(p), &alpha, p.a, p.b, &beta, p.c);
  }
  std::string plans() const override { return plans_->text(); }
  std::string take_plans(const std::string& text) override { return plans_->take(text); }

  // A CUDA graph. Whatever is wrong, the stream is as before, and the same operations tell when they are enqueued without being recorded.
  Recording record(const std::function<void()>& enqueue) override {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t recording = nullptr;
    join(copies_, stream_);
    bool is_whole = cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    if (is_whole) {
      records_ = true;
      try {
        join(stream_, copies_);
        enqueue();
        join(copies_, stream_);
      } catch (const Error&) {
        is_whole = false;
      }
      records_ = false;
      for (Event& e : events_) e.mark = e.mark == Mark::recorded ? Mark::none : e.mark;
      is_whole = cudaStreamEndCapture(stream_, &graph) == cudaSuccess && graph && is_whole;
    }
    is_whole = is_whole && cudaGraphInstantiate(&recording, graph, 0) == cudaSuccess;
    size_t nodes = 0;
    is_whole = is_whole && cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess;
    if (graph) cudaGraphDestroy(graph);
    const auto destroy = [this](cudaGraphExec_t done) {
      cudaStreamSynchronize(stream_);  // it may be in progress
      cudaGraphExecDestroy(done);
    };
    if (is_whole) return {{recording, destroy}, int64_t(nodes)};
    cudaGetLastError();  // the context goes on
    return {};
  }
  void replay(const Recording& r) override {
    join(copies_, stream_);
    expect(cudaGraphLaunch(static_cast<cudaGraphExec_t>(r.owner.get()), stream_), "a recorded pass");
  }

 private:
  enum class Mark { none, made, recorded };
  struct Event {
    cudaEvent_t event = nullptr;
    Mark mark = Mark::none;
  };

  cudaStream_t of(Queue q) const { return q == Queue::copies ? copies_ : stream_; }
  // What is enqueued next on `to` comes after what `from` has now.
  void join(cudaStream_t from, cudaStream_t to) {
    expect(cudaEventRecord(joined_, from), "cudaEventRecord");
    expect(cudaStreamWaitEvent(to, joined_, 0), "cudaStreamWaitEvent");
  }
  // The factors are of the plan's type.
  void multiply(const ProductPlans::Plan& plan, const void* alpha, const void* a, const void* b, const void* beta, void* c) {
    expect_lt(lt_.matmul(handle_, plan.operation, alpha, b, plan.b, a, plan.a, beta, c, plan.c, c, plan.c, &plan.algorithm, workspace_.get(), size_t(kProductWorkspace), stream_),
              "a product");
  }

  int number_;
  const CublasLt& lt_;
  cudaStream_t stream_ = nullptr, copies_ = nullptr;
  Event events_[kEvents];
  cudaEvent_t joined_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  std::shared_ptr<void> workspace_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<ProductPlans> plans_;
  bool records_ = false;
};

}  // namespace

void check_launch(const char* kernel) { expect(cudaGetLastError(), kernel); }

Devices find_devices() {
  Devices all;
  const int count = count_devices(all.missing);
  int current = 0;
  if (count > 0) cudaGetDevice(&current);
  if (count == 0) all.missing[0] = char(std::toupper(all.missing[0]));
  for (int i = 0; i < count; i++) {
    cudaDeviceProp about;
    if (cudaGetDeviceProperties(&about, i) != cudaSuccess) continue;
    const std::string name = "cuda:" + std::to_string(i), capability = std::to_string(about.major) + "." + std::to_string(about.minor);
    if (about.major < kLeastMajor) {
      all.missing += name + " (" + about.name + ") has compute capability " + capability + ", and 8.0 is needed. ";
      continue;
    }
    size_t free = 0, total = about.totalGlobalMem;
    if (cudaSetDevice(i) == cudaSuccess) cudaMemGetInfo(&free, &total);
    all.found.push_back({name, std::string(about.name) + ", compute capability " + capability, int64_t(total), int64_t(free)});
  }
  if (count > 0) cudaSetDevice(current);  // an engine of this thread goes on
  return all;
}

std::unique_ptr<Device> open_device(int number) {
  std::string missing;
  cudaDeviceProp about;
  // Asking each GPU for its free memory would take some of it on all of them.
  if (number < count_devices(missing) && cudaGetDeviceProperties(&about, number) == cudaSuccess && about.major >= kLeastMajor) {
    const std::string capability = std::to_string(about.major) + "." + std::to_string(about.minor);
    return std::make_unique<Gpu>(number, std::string(about.name) + ", compute capability " + capability + ", " + std::to_string(about.multiProcessorCount) + " multiprocessors");
  }
  const Devices all = find_devices();
  const std::string wanted = "cuda:" + std::to_string(number);
  std::string names;
  for (const auto& d : all.found) names += (names.empty() ? "" : ", ") + d.name;
  if (!all.found.empty()) fail("There is no device " + wanted + " here: there are " + names + ". " + all.missing);
  fail("There is no device " + wanted + ": " + all.missing);
}

Memory shared_memory(int64_t bytes) {
  void* p = nullptr;
  if (cudaHostAlloc(&p, size_t(bytes), cudaHostAllocMapped) != cudaSuccess) {
    cudaGetLastError();  // the context goes on
    throw Error("E_MEMORY", "The host pins no " + std::to_string(bytes >> 20) + " MiB for the GPU: its memory is in use, or limited (ulimit -l, the control group).");
  }
  return {{p, [](void* memory) { cudaFreeHost(memory); }}, bytes};
}

}  // namespace lowrank::cuda
