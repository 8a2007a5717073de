#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "cuda/emulation/emulation.h"

namespace {

constexpr int kRuntime = 13000;
constexpr size_t kTotal = size_t(16) << 30;

std::string setting(const std::string& name, const char* otherwise) {
  const char* const all = std::getenv("LOWRANK_FAKE_CUDA");
  const std::string list = "," + std::string(all ? all : "") + ",", key = "," + name + "=";
  const size_t at = list.find(key);
  if (at == std::string::npos) return otherwise;
  const size_t begin = at + key.size();
  return list.substr(begin, list.find(',', begin) - begin);
}
int number(const char* name, const char* otherwise) { return std::atoi(setting(name, otherwise).c_str()); }

cudaError_t unless_failing(const char* function, cudaError_t otherwise = cudaErrorLaunchFailure) {
  return setting("fails", "") == function ? otherwise : cudaSuccess;
}

std::mutex mutex;
std::map<void*, size_t> blocks;
size_t used() {
  size_t sum = 0;
  for (const auto& [block, bytes] : blocks) sum += bytes;
  return sum;
}
size_t free_bytes() {
  const size_t all = size_t(number("free", "16384")) << 20, taken = used();
  return all > taken ? all - taken : 0;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = number("gpus", "1");
  if (number("driver", "13000") < kRuntime) return cudaErrorInsufficientDriver;
  return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = number("driver", "13000");
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntime;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {"a fake GPU", kTotal, number("major", "9"), 0, number("processors", "132")};
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* address, int length, int i) {
  std::snprintf(address, size_t(length), "0000:%02x:00.0", i);
  return cudaSuccess;
}
// A thread's own, as CUDA has it.
thread_local int current = 0;
cudaError_t cudaGetDevice(int* i) {
  *i = current;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int i) {
  if (i >= number("gpus", "1")) return cudaErrorInvalidDevice;
  current = i;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(mutex);
  *free = free_bytes();
  *total = kTotal;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** p, size_t bytes) {
  const std::lock_guard lock(mutex);
  if (bytes > free_bytes()) return cudaErrorMemoryAllocation;
  *p = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  blocks[*p] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  const std::lock_guard lock(mutex);
  blocks.erase(p);
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) {
  *p = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  std::free(p);
  return cudaSuccess;
}
constexpr intptr_t kOneStream = 256;
cudaError_t of_current(cudaStream_t s) { return reinterpret_cast<intptr_t>(s) % kOneStream == current + 1 ? cudaSuccess : cudaErrorInvalidDevice; }

// What is captured: as CUDA has it, a stream joins by waiting for an event of one that is, waits for no other event, and ends in an event that
// the first stream waits for.
struct Capture {
  std::set<cudaStream_t> streams, open;  // open: with work that the first stream does not wait for
  cudaStream_t first = nullptr;
};
thread_local Capture capture;
struct CUevent_st {
  bool is_captured = false;
  cudaStream_t stream = nullptr;
};
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t s) {
  std::memset(p, value, bytes);
  return of_current(s) == cudaSuccess ? unless_failing("cudaMemset") : of_current(s);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t s) {
  if (capture.streams.count(s) > 0) {
    if (s != capture.first) capture.open.insert(s);
    lowrank::cuda::emulation::recording->push_back([=] { std::memcpy(to, from, bytes); });
  } else {
    std::memcpy(to, from, bytes);
  }
  return of_current(s) == cudaSuccess ? unless_failing("cudaMemcpy") : of_current(s);
}
// A stream's lowest byte is the number of its device, plus one: work that is enqueued while another device is the thread's own is an error.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
  static std::atomic<intptr_t> count = 0;
  *s = reinterpret_cast<cudaStream_t>(kOneStream * count++ + current + 1);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return unless_failing("synchronize"); }
cudaError_t cudaStreamQuery(cudaStream_t) { return unless_failing("query", cudaErrorNotReady); }
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  *e = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  *e = {capture.streams.count(s) > 0, s};
  return of_current(s);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  if (e->is_captured && capture.streams.empty()) return cudaErrorInvalidDevice;
  if (!e->is_captured && capture.streams.count(s) > 0) return cudaErrorInvalidDevice;
  if (e->is_captured) capture.streams.insert(s);
  if (e->is_captured && s == capture.first) capture.open.erase(e->stream);
  if (e->is_captured && s != capture.first) capture.open.insert(s);
  return of_current(s);
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return unless_failing("synchronize"); }
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete e;
  return cudaSuccess;
}
// Graphs are the emulation's recordings of launches.
using lowrank::cuda::emulation::Recording;
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  lowrank::cuda::emulation::recording = new Recording;
  capture = {{s}, {}, s};
  return of_current(s);
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* graph) {
  *graph = reinterpret_cast<cudaGraph_t>(lowrank::cuda::emulation::recording);
  lowrank::cuda::emulation::recording = nullptr;
  const bool is_joined = capture.open.empty();
  capture = {};
  if (!is_joined) return cudaErrorInvalidDevice;
  return of_current(s) == cudaSuccess ? unless_failing("capture") : of_current(s);
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
  *count = reinterpret_cast<Recording*>(graph)->size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* to, cudaGraph_t graph, unsigned long long) {
  *to = reinterpret_cast<cudaGraphExec_t>(new Recording(*reinterpret_cast<Recording*>(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t recording, cudaStream_t s) {
  for (const auto& launch : *reinterpret_cast<Recording*>(recording)) launch();
  return of_current(s) == cudaSuccess ? unless_failing("graph") : of_current(s);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Recording*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t recording) {
  delete reinterpret_cast<Recording*>(recording);
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return unless_failing("launch"); }
const char* cudaGetErrorString(cudaError_t e) { return e == cudaErrorLaunchFailure ? "unspecified launch failure" : "another error"; }
const char* cudaGetErrorName(cudaError_t e) { return e == cudaErrorLaunchFailure ? "cudaErrorLaunchFailure" : "cudaErrorOther"; }
