// Processes (ranks) that train one adapter together, each on its share of a step's micro-batches. All make the same calls in the same order; a
// call returns when every rank has made it. One thread at a time may call.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lowrank {

class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // values[i] = its sum over the ranks, added in the order of the ranks: the same bits on each rank and in each run, however the messages
  // arrive. As many bytes go over the wires as in a ring. Error E_GROUP, as of all that follow.
  void sum(float* values, int64_t n);
  void sum(double* values, int64_t n);
  // Everyone's bytes, by rank.
  std::vector<std::string> gather(const std::string& mine);
  // Rank 0's bytes in the place of everyone's.
  void share(void* data, int64_t bytes);
  // The last call: the ranks part in peace. A process that ends without it ends the others.
  virtual void finish() = 0;
  // Ends all ranks' processes at once. Returns where there is only this one.
  virtual void abort() = 0;

  // Seconds spent in calls so far: waiting for other ranks, and sending.
  double waited() const { return waited_; }

 protected:
  // Part r of `parts` (counts[r] values, one after the other) goes to rank r; received: (size, counts[rank]), by rank.
  virtual void exchange(const float* parts, const std::vector<int>& counts, float* received) = 0;
  // Everyone's counts[rank] bytes one after the other; `mine` may lie at its place in `all`.
  virtual void gather(const void* mine, const std::vector<int>& counts, void* all) = 0;
  virtual void broadcast(void* data, int bytes) = 0;

 private:
  class Timed;
  double waited_ = 0;
  std::vector<float> received_;
};

// kind: "" for this process alone, "mpi" for the ranks that mpirun or srun started. Error E_GROUP where that cannot be.
std::unique_ptr<Group> make_group(const std::string& kind);

// Why there are no groups over MPI, in words; empty where the library is there and can be loaded.
std::string group_problem();

}  // namespace lowrank
