// The declarations of native/cuda/nccl.h beside NCCL's own header (with the tests' headers of CUDA), compiled by test/native/nccl-header.test.ts where there is one.
#include <nccl.h>

#include <type_traits>

#include "cuda/nccl.h"

namespace {

using lowrank::cuda::Nccl;
using lowrank::cuda::NcclUniqueId;

// The same in a call: a number in the place of an enumeration, an address in the place of a named type's.
template <class T>
struct Plain {
  using type = std::conditional_t<std::is_enum_v<T>, int, T>;
};
template <>
struct Plain<ncclUniqueId> {
  using type = NcclUniqueId;
};
template <>
struct Plain<ncclComm_t> {
  using type = void*;
};
template <class T>
  requires(!std::is_same_v<T, const char> && !std::is_void_v<T>)
struct Plain<T*> {
  using type = typename Plain<T>::type*;
};
template <class R, class... A>
auto plain(R (*)(A...)) -> typename Plain<R>::type (*)(typename Plain<A>::type...);

#define SAME(function, member) static_assert(std::is_same_v<decltype(plain(&function)), decltype(Nccl::member)>, #function)
SAME(ncclGetVersion, version);
SAME(ncclGetUniqueId, unique_id);
SAME(ncclCommInitRank, init);
SAME(ncclCommDestroy, destroy);
SAME(ncclCommAbort, abort);
SAME(ncclCommGetAsyncError, async_error);
SAME(ncclGetErrorString, error);
SAME(ncclGroupStart, group_start);
SAME(ncclGroupEnd, group_end);
SAME(ncclSend, send);
SAME(ncclRecv, receive);

static_assert(sizeof(ncclUniqueId) == sizeof(NcclUniqueId) && alignof(ncclUniqueId) == alignof(NcclUniqueId));
static_assert(sizeof(ncclResult_t) == sizeof(int) && sizeof(ncclDataType_t) == sizeof(int));
static_assert(ncclSuccess == lowrank::cuda::kNcclSuccess && ncclInProgress == lowrank::cuda::kNcclInProgress && ncclFloat == lowrank::cuda::kNcclFloat);

}  // namespace
