// NCCL, opened when ranks on GPUs meet. The plugin is built without its headers: the declarations that it needs are here, and
// test/native/headers/nccl.cpp holds them against the real ones.
#pragma once
#include <cstddef>

#include "cuda/stream.h"

namespace lowrank::cuda {

using NcclComm = void*;  // a communicator
struct NcclUniqueId {
  char internal[128];
};
constexpr int kNcclSuccess = 0, kNcclInProgress = 7;  // ncclResult_t
constexpr int kNcclFloat = 7;                         // ncclDataType_t

struct Nccl {
  int (*version)(int*);
  int (*unique_id)(NcclUniqueId*);
  int (*init)(NcclComm*, int ranks, NcclUniqueId, int rank);
  int (*destroy)(NcclComm);
  int (*abort)(NcclComm);
  int (*async_error)(NcclComm, int* state);
  const char* (*error)(int result);
  int (*group_start)();
  int (*group_end)();
  int (*send)(const void*, size_t count, int type, int peer, NcclComm, Stream);
  int (*receive)(void*, size_t count, int type, int peer, NcclComm, Stream);
};

// Error E_DEVICE with every place where it was looked for.
const Nccl& nccl();

}  // namespace lowrank::cuda
