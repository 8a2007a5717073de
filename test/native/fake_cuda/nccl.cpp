// A stand-in for NCCL: the functions that the plugin calls, between processes of this machine, over memory that they share. A message goes through
// a box of the pair of ranks, in pieces, and everything is done when ncclGroupEnd returns. LOWRANK_FAKE_NCCL=FUNCTION lets that one fail.
#include "cuda/nccl.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using lowrank::cuda::NcclComm;
using lowrank::cuda::NcclUniqueId;
using lowrank::cuda::Stream;

constexpr int kMostRanks = 4, kUnhandled = 2;
constexpr size_t kBoxBytes = 5000;  // no multiple of a value: pieces end anywhere

struct Box {
  std::atomic<size_t> bytes;  // 0: empty
  char data[kBoxBytes];
};
// What the ranks share. It begins as zeros.
struct Shared {
  std::atomic<int> come;
  Box boxes[kMostRanks][kMostRanks];  // from, to
};
struct Communicator {
  Shared* shared;
  int rank, size;
};
struct Operation {
  Communicator* comm;
  bool sends;
  char* at;
  size_t left;
  int peer;
};
std::vector<Operation> operations;

bool fails(const char* function) {
  const char* const named = std::getenv("LOWRANK_FAKE_NCCL");
  return named && std::strcmp(named, function) == 0;
}
int result(const char* function) { return fails(function) ? kUnhandled : lowrank::cuda::kNcclSuccess; }

// Some bytes of a message: whether there were any.
bool goes_on(Operation& o) {
  if (o.left == 0) return false;
  Box& box = o.sends ? o.comm->shared->boxes[o.comm->rank][o.peer] : o.comm->shared->boxes[o.peer][o.comm->rank];
  const size_t there = box.bytes.load(std::memory_order_acquire);
  if (o.sends != (there == 0)) return false;
  const size_t n = o.sends ? std::min(o.left, kBoxBytes) : there;
  if (o.sends) std::memcpy(box.data, o.at, n);
  else std::memcpy(o.at, box.data, n);
  box.bytes.store(o.sends ? n : 0, std::memory_order_release);
  o.at += n;
  o.left -= n;
  return true;
}

int add(Communicator* comm, bool sends, void* at, size_t count, int type, int peer) {
  if (type != lowrank::cuda::kNcclFloat || peer < 0 || peer >= comm->size) return 4;  // ncclInvalidArgument
  operations.push_back({comm, sends, static_cast<char*>(at), count * sizeof(float), peer});
  return lowrank::cuda::kNcclSuccess;
}

}  // namespace

extern "C" {

int ncclGetVersion(int* version) {
  *version = 22703;
  return lowrank::cuda::kNcclSuccess;
}

int ncclGetUniqueId(NcclUniqueId* id) {
  std::snprintf(id->internal, sizeof id->internal, "/lowrank-fake-nccl-%d", getpid());
  return result("ncclGetUniqueId");
}

int ncclCommInitRank(NcclComm* comm, int ranks, NcclUniqueId id, int rank) {
  if (ranks > kMostRanks || fails("ncclCommInitRank")) return kUnhandled;
  const int file = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return kUnhandled;
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return kUnhandled;
  auto* const shared = static_cast<Shared*>(memory);
  shared->come++;
  while (shared->come < ranks) sched_yield();
  if (rank == 0) shm_unlink(id.internal);
  *comm = new Communicator{shared, rank, ranks};
  return lowrank::cuda::kNcclSuccess;
}

int ncclCommDestroy(NcclComm comm) {
  delete static_cast<Communicator*>(comm);
  return lowrank::cuda::kNcclSuccess;
}
int ncclCommAbort(NcclComm comm) { return ncclCommDestroy(comm); }
int ncclCommGetAsyncError(NcclComm, int* state) {
  *state = result("asynchronous");
  return lowrank::cuda::kNcclSuccess;
}
const char* ncclGetErrorString(int code) { return code == kUnhandled ? "unhandled system error" : "invalid argument"; }

int ncclGroupStart() {
  operations.clear();
  return lowrank::cuda::kNcclSuccess;
}

int ncclGroupEnd() {
  if (fails("ncclGroupEnd")) return kUnhandled;
  // The last ones first: nothing depends on the order in which messages arrive.
  std::reverse(operations.begin(), operations.end());
  const auto is_over = [](const Operation& o) { return o.left == 0; };
  while (!std::all_of(operations.begin(), operations.end(), is_over)) {
    bool any = false;
    for (Operation& o : operations) any = goes_on(o) || any;
    if (!any) sched_yield();
  }
  return lowrank::cuda::kNcclSuccess;
}

int ncclSend(const void* from, size_t count, int type, int peer, NcclComm comm, Stream) {
  if (fails("ncclSend")) return kUnhandled;
  return add(static_cast<Communicator*>(comm), true, const_cast<void*>(from), count, type, peer);
}
int ncclRecv(void* to, size_t count, int type, int peer, NcclComm comm, Stream) { return add(static_cast<Communicator*>(comm), false, to, count, type, peer); }

}  // extern "C"
