// Processes (ranks) that train one adapter together, each on its share of a step's micro-batches. All make the same calls in the same order; a
// call returns when every rank has made it. One thread makes the calls; sums of gradients are another's (group/sums.h), and have an order of their own.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "group/reducer.h"

namespace lowrank {

class Group : public Reducer {
 public:
  // Of values in this process's memory. sum(float*) is the one call that class Sums makes.
  using Reducer::sum;
  void sum(double* values, int64_t n);  // Error E_GROUP, as of all that follow
  // Everyone's bytes, by rank.
  std::vector<std::string> gather(const std::string& mine);
  // Rank 0's bytes in the place of everyone's.
  void share(void* data, int64_t bytes);
  // The last call: the ranks part in peace. A process that ends without it ends the others.
  virtual void finish() = 0;
  // Ends all ranks' processes at once. Returns where there is only this one.
  virtual void abort() = 0;

  // Seconds for which the engine's thread was in calls so far: waiting for other ranks, and sending.
  double waited() const { return waited_; }
  // Its lifetime is a part of them.
  class Waiting {
   public:
    explicit Waiting(Group& group) : group_(group) {}
    ~Waiting() { group_.waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Group& group_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  };
  // Whether somebody waits for sums. Otherwise they leave the processor to the backward pass.
  void hurry_sums(bool hurry) { hurries_ = hurry; }
  // Calls in progress, which wait for others, end with an error. For any thread.
  void give_up() { gives_up_ = true; }
  // How long a call waits for other ranks: error E_TIMEOUT beyond it.
  void set_limit(std::chrono::seconds limit) { limit_ = limit; }
  std::chrono::seconds limit() const { return limit_; }

  // Messages of calls, and messages of sums, which a thread of their own sends at the same time.
  enum class Channel { calls, sums };
  // Between two looks at messages that are not there yet, which were first looked for at `begin`. Error E_GROUP where they are given up. Who waits
  // for an answer looks at once, and soon less often: what comes late is a rank that still computes, perhaps on this processor.
  void rest(Channel, std::chrono::steady_clock::time_point begin) const;

 protected:
  int64_t piece() const final;
  float* received(int64_t n) final;
  void add(const float* parts, int64_t n, float* sums) final;
  void gather_sums(const std::vector<int>& counts, float* all) final;
  // Everyone's counts[rank] bytes one after the other; `mine` may lie at its place in `all`.
  virtual void gather(Channel, const void* mine, const std::vector<int>& counts, void* all) = 0;
  virtual void broadcast(void* data, int bytes) = 0;
  // How long the engine's thread has waited, since `begin` at most; 0 where it computes.
  std::chrono::steady_clock::duration waits(Channel, std::chrono::steady_clock::time_point begin) const;

 private:
  double waited_ = 0;
  std::chrono::seconds limit_ = std::chrono::hours(1);
  std::vector<float> received_;
  std::atomic<bool> hurries_ = false, gives_up_ = false;
};

// kind: "" for this process alone, "mpi" for the ranks that mpirun or srun started; returns when all of them are there. Error E_GROUP where that cannot be, E_MPI where the library cannot be loaded.
std::unique_ptr<Group> make_group(const std::string& kind);

// Why there are no groups over MPI, in words; empty where the library is there and can be loaded.
std::string group_problem();

}  // namespace lowrank
