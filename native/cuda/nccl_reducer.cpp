#include "cuda/nccl_reducer.h"

#include <unistd.h>

#include <map>

#include "base/error.h"
#include "cuda/kernels.h"
#include "cuda/nccl.h"

namespace lowrank::cuda {

namespace {

// 16 MiB: large enough for any link's bandwidth.
constexpr int64_t kPieceFloats = int64_t(1) << 22;

class NcclReducer final : public Reducer {
 public:
  NcclReducer(Device& device, Group& group, const NcclUniqueId& id)
      : nccl_(nccl()), device_(device), group_(group), received_(device.allocate((kPieceFloats + group.size()) * int64_t(sizeof(float)))) {
    device.wait();
    check(nccl_.init(&comm_, size(), id, rank()), "ncclCommInitRank");
  }
  ~NcclReducer() override {
    // After an error the others may not come.
    if (comm_) is_whole_ ? nccl_.destroy(comm_) : nccl_.abort(comm_);
  }
  NcclReducer(const NcclReducer&) = delete;
  NcclReducer& operator=(const NcclReducer&) = delete;

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }

  void complete() override {
    const Group::Waiting waiting(group_);
    is_whole_ = false;
    for (const auto begin = std::chrono::steady_clock::now(); !device_.is_done();) {
      int state = kNcclSuccess;
      check(nccl_.async_error(comm_, &state), "ncclCommGetAsyncError");
      if (state != kNcclInProgress) check(state, "a sum of gradients");
      if (std::chrono::steady_clock::now() - begin > group_.limit()) {
        throw Error("E_TIMEOUT", "Rank " + std::to_string(rank()) + " has waited for sums over NCCL for longer than --ddp_timeout, though all ranks had come to the step: one hangs, or the network is too slow.", "ddp_timeout");
      }
      group_.rest(Group::Channel::calls, begin);
    }
    is_whole_ = true;
  }

 protected:
  int64_t piece() const override { return kPieceFloats; }
  float* received(int64_t) override { return static_cast<float*>(received_.get()); }

  void exchange(const float* parts, const std::vector<int>& counts, float* received) override {
    const int own = counts[size_t(rank())];
    together([&] {
      for (int r = 0; r < size(); r++) {
        send(parts, counts[size_t(r)], r);
        receive(received + int64_t(r) * own, own, r);
        parts += counts[size_t(r)];
      }
    });
  }

  void add(const float* parts, int64_t n, float* sums) override { kernels::add_parts(parts, size(), n, sums, device_.stream()); }

  void gather_sums(const std::vector<int>& counts, float* all) override {
    const float* own = all;
    for (int r = 0; r < rank(); r++) own += counts[size_t(r)];
    together([&] {
      for (int r = 0; r < size(); r++) {
        if (r != rank()) {
          send(own, counts[size_t(rank())], r);
          receive(all, counts[size_t(r)], r);
        }
        all += counts[size_t(r)];
      }
    });
  }

 private:
  // One operation of all the sends and receives that f makes.
  template <class F>
  void together(F f) {
    is_whole_ = false;
    check(nccl_.group_start(), "ncclGroupStart");
    f();
    check(nccl_.group_end(), "ncclGroupEnd");
  }
  void send(const float* from, int n, int rank) {
    if (n > 0) check(nccl_.send(from, size_t(n), kNcclFloat, rank, comm_, device_.stream()), "ncclSend");
  }
  void receive(float* to, int n, int rank) {
    if (n > 0) check(nccl_.receive(to, size_t(n), kNcclFloat, rank, comm_, device_.stream()), "ncclRecv");
  }
  void check(int result, const char* what) const {
    if (result == kNcclSuccess) return;
    throw Error("E_GROUP", "NCCL: " + std::string(what) + " failed on rank " + std::to_string(rank()) + " of " + std::to_string(size()) + ": " + nccl_.error(result) + ". NCCL_DEBUG=INFO tells more.", "group");
  }

  const Nccl& nccl_;
  Device& device_;
  Group& group_;
  std::shared_ptr<void> received_;
  NcclComm comm_ = nullptr;
  bool is_whole_ = true;  // no operation is in progress, or has failed
};

std::string host() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

// As 2.27.3.
std::string version_text(int v) {
  if (v < 20000) return std::to_string(v / 1000) + "." + std::to_string(v / 100 % 10) + "." + std::to_string(v % 100);  // before 2.9
  return std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
}

}  // namespace

DeviceSums join_over_nccl(Device& device, Group& group) {
  std::string missing, version;
  try {
    int number = 0;
    nccl().version(&number);
    version = "NCCL " + version_text(number);
  } catch (const Error& e) {
    missing = e.what();
  }
  // Everyone's, in the same order, so that all find the same.
  const std::vector<std::string> problems = group.gather(missing), versions = group.gather(version), gpus = group.gather(host() + ", " + device.identity());
  std::map<std::string, int> ranks;  // by their GPU
  for (int r = 0; r < group.size(); r++) {
    const auto at = size_t(r);
    const std::string rank = "rank " + std::to_string(r);
    if (!problems[at].empty()) return {nullptr, rank + ": " + problems[at]};
    if (versions[at] != versions[0]) return {nullptr, rank + " has " + versions[at] + ", and rank 0 " + versions[0]};
    const auto [other, is_new] = ranks.emplace(gpus[at], r);
    if (!is_new) return {nullptr, rank + " and rank " + std::to_string(other->second) + " share a GPU (" + gpus[at] + "), and NCCL wants one for each"};
  }
  NcclUniqueId id{};
  if (group.rank() == 0) {
    if (const int result = nccl().unique_id(&id); result != kNcclSuccess) throw Error("E_GROUP", std::string("NCCL: ncclGetUniqueId failed: ") + nccl().error(result) + ".", "group");
  }
  group.share(&id, sizeof id);
  return {std::make_unique<NcclReducer>(device, group, id), version};
}

}  // namespace lowrank::cuda
