// NVIDIA GPUs: the CUDA runtime for memory and copies, cuBLASLt for products.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <map>

#include "base/error.h"
#include "cuda/cublaslt.h"
#include "cuda/system.h"

namespace lowrank::cuda {

namespace {

constexpr int kLeastMajor = 8;  // compute capability 8.0: bf16 products
constexpr int64_t kProductWorkspace = int64_t(32) << 20;  // NVIDIA's advice for Hopper
constexpr int64_t kStaged = int64_t(1) << 20;

std::string version_text(int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); }

[[noreturn]] void fail(const std::string& what) { throw Error("E_DEVICE", what, "device"); }

void expect(cudaError_t e, const char* what) {
  if (e == cudaSuccess) return;
  fail(std::string("The GPU failed in ") + what + ": " + cudaGetErrorString(e) + " (" + cudaGetErrorName(e) + "). Nothing of this run can go on.");
}

void expect(cublasStatus_t s, const char* what) {
  if (s != CUBLAS_STATUS_SUCCESS) fail(std::string("cuBLASLt failed in ") + what + ": " + cublaslt().status(s) + ".");
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

cudaDataType_t type_of(DType t) { return t == DType::f32 ? CUDA_R_32F : t == DType::bf16 ? CUDA_R_16BF : CUDA_R_16F; }

// One shape of a product, with the algorithm that cuBLASLt's heuristic names first: the same one in every run on a card and version.
struct Plan {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm;
};
using Shape = std::array<int64_t, 15>;

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
  explicit Gpu(int number) : number_(number), lt_(cublaslt()) {
    expect(cudaSetDevice(number), "cudaSetDevice");
    expect(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    expect(lt_.create(&handle_), "cublasLtCreate");
    workspace_ = allocate(kProductWorkspace);
    staging_ = std::make_unique<Staging>();
  }
  ~Gpu() override {
    cudaStreamSynchronize(stream_);
    for (auto& [shape, plan] : plans_) {
      lt_.desc_destroy(plan.operation);
      for (cublasLtMatrixLayout_t layout : {plan.a, plan.b, plan.c}) lt_.layout_destroy(layout);
    }
    lt_.destroy(handle_);
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
    return owner;
  }

  void upload(const void* host, int64_t bytes, void* to) override {
    const bool staged = bytes <= kStaged;
    expect(cudaMemcpyAsync(to, staged ? staging_->copy(host, bytes, stream_) : host, size_t(bytes), cudaMemcpyDefault, stream_), "an upload");
    if (!staged) expect(cudaStreamSynchronize(stream_), "an upload");
  }
  void download(const void* from, int64_t bytes, void* host) override {
    expect(cudaMemcpyAsync(host, from, size_t(bytes), cudaMemcpyDefault, stream_), "a download");
    expect(cudaStreamSynchronize(stream_), "a download");
  }
  void wait() override { expect(cudaStreamSynchronize(stream_), "an operation"); }
  bool is_done() override {
    const cudaError_t e = cudaStreamQuery(stream_);
    if (e == cudaErrorNotReady) return false;
    expect(e, "an operation");
    return true;
  }

  // A row-major matrix is a transposed one by columns: c^T = op(b)^T op(a)^T, so b comes first.
  void product(const Product& p) override {
    check_product(p);
    const Plan& plan = plan_of(p);
    const float beta = p.accumulates ? 1.f : 0.f;
    expect(lt_.matmul(handle_, plan.operation, &p.alpha, p.b.data, plan.a, p.a.data, plan.b, &beta, p.c.data, plan.c, p.c.data, plan.c, &plan.algorithm, workspace_.get(),
                      size_t(kProductWorkspace), stream_),
           "a product");
  }

 private:
  static int64_t alignment(const Mat& m) {
    const auto at = reinterpret_cast<uintptr_t>(m.data) | uintptr_t(m.ld * dtype_bytes(m.dtype));
    return int64_t(at & -at) < 16 ? int64_t(at & -at) : 16;
  }

  const Plan& plan_of(const Product& p) {
    const Shape shape = {p.a.rows, p.a.cols, p.a.ld, p.b.rows, p.b.cols, p.b.ld, p.c.ld, int64_t(p.a.dtype), int64_t(p.c.dtype), p.transposes_a, p.transposes_b,
                         p.accumulates, alignment(p.a), alignment(p.b), alignment(p.c)};
    const auto found = plans_.find(shape);
    if (found != plans_.end()) return found->second;
    Plan plan;
    expect(lt_.desc_create(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    const cublasOperation_t first = p.transposes_b ? CUBLAS_OP_T : CUBLAS_OP_N, second = p.transposes_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    expect(lt_.desc_set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first), "TRANSA");
    expect(lt_.desc_set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second), "TRANSB");
    const auto layout = [&](cublasLtMatrixLayout_t& to, const Mat& m) {
      expect(lt_.layout_create(&to, type_of(m.dtype), uint64_t(m.cols), uint64_t(m.rows), m.ld), "cublasLtMatrixLayoutCreate");
    };
    layout(plan.a, p.b);
    layout(plan.b, p.a);
    layout(plan.c, p.c);
    cublasLtMatmulPreference_t preference = nullptr;
    expect(lt_.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) { expect(lt_.preference_set(preference, attribute, &value, sizeof value), "a preference"); };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, size_t(kProductWorkspace));
    // Partial sums that are added in place are added in the order of arrival: other bits in every run.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_MASK & ~uint32_t(CUBLASLT_REDUCTION_SCHEME_INPLACE)));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t(alignment(p.b)));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(alignment(p.a)));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, uint32_t(alignment(p.c)));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, uint32_t(alignment(p.c)));
    cublasLtMatmulHeuristicResult_t result;
    int results = 0;
    const cublasStatus_t status = lt_.heuristic(handle_, plan.operation, plan.a, plan.b, plan.c, plan.c, preference, 1, &result, &results);
    lt_.preference_destroy(preference);
    expect(status, "cublasLtMatmulAlgoGetHeuristic");
    if (results == 0) fail("cuBLASLt has no algorithm for a product of " + std::to_string(p.c.rows) + " x " + std::to_string(p.c.cols) + " x " + std::to_string(p.inner()) + ".");
    plan.algorithm = result.algo;
    return plans_.emplace(shape, plan).first->second;
  }

  int number_;
  const CublasLt& lt_;
  cudaStream_t stream_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  std::shared_ptr<void> workspace_;
  std::unique_ptr<Staging> staging_;
  std::map<Shape, Plan> plans_;
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
  if (number < count_devices(missing) && cudaGetDeviceProperties(&about, number) == cudaSuccess && about.major >= kLeastMajor) return std::make_unique<Gpu>(number);
  const Devices all = find_devices();
  const std::string wanted = "cuda:" + std::to_string(number);
  std::string names;
  for (const auto& d : all.found) names += (names.empty() ? "" : ", ") + d.name;
  if (!all.found.empty()) fail("There is no device " + wanted + " here: there are " + names + ". " + all.missing);
  fail("There is no device " + wanted + ": " + all.missing);
}

Memory shared_memory(int64_t bytes) {
  void* p = nullptr;
  if (cudaHostAlloc(&p, size_t(bytes), cudaHostAllocMapped) != cudaSuccess) throw Error("E_MEMORY", "No memory that the GPU shares.");
  return {{p, [](void* memory) { cudaFreeHost(memory); }}, bytes};
}

}  // namespace lowrank::cuda
