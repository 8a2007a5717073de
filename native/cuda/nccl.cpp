#include "cuda/nccl.h"

#include "cuda/nvidia_library.h"

namespace lowrank::cuda {

namespace {

Nccl opened() {
  const NvidiaLibrary library = {.what = "NCCL", .package = "nvidia-nccl-cu12", .variable = "LOWRANK_NCCL_PATH", .names = {"libnccl.so.2"}, .in_wheels = {"nccl/lib"}};
  Nccl all{};
  // Before 2.7 there was no ncclSend.
  open_nvidia_library(library, [&](void* l) {
    return find(l, "ncclGetVersion", all.version) && find(l, "ncclGetUniqueId", all.unique_id) && find(l, "ncclCommInitRank", all.init) &&
           find(l, "ncclCommDestroy", all.destroy) && find(l, "ncclCommAbort", all.abort) && find(l, "ncclCommGetAsyncError", all.async_error) &&
           find(l, "ncclGetErrorString", all.error) && find(l, "ncclGroupStart", all.group_start) && find(l, "ncclGroupEnd", all.group_end) &&
           find(l, "ncclSend", all.send) && find(l, "ncclRecv", all.receive);
  });
  return all;
}

}  // namespace

const Nccl& nccl() {
  static const Nccl all = opened();
  return all;
}

}  // namespace lowrank::cuda
