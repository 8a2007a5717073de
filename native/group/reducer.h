// Sums over ranks, in their order, of values in one kind of memory: this process's (Group), or a device's.
#pragma once
#include <cstdint>
#include <vector>

namespace lowrank {

class Reducer {
 public:
  virtual ~Reducer() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // values[i] = its sum over the ranks, added in the order of the ranks: the same bits on each rank and in each run, however the messages
  // arrive, and in each kind of memory. As many bytes go over the wires as in a ring. A device's sums are enqueued behind its operations, and
  // complete() waits for them. Error E_GROUP
  void sum(float* values, int64_t n);
  virtual void complete() {}

 protected:
  // Most values of a message to all ranks: it bounds the memory of a sum.
  virtual int64_t piece() const = 0;
  // Part r of `parts` (counts[r] values, one after the other) goes to rank r; received: (size, counts[rank]), by rank.
  virtual void exchange(const float* parts, const std::vector<int>& counts, float* received) = 0;
  // Memory for n values that are received, at most piece() + size().
  virtual float* received(int64_t n) = 0;
  // sums[i] = the sum of value i of each part, in the order of the parts. parts: (size, n)
  virtual void add(const float* parts, int64_t n, float* sums) = 0;
  // Everyone's counts[rank] sums one after the other; a rank's own are there already.
  virtual void gather_sums(const std::vector<int>& counts, float* all) = 0;
};

}  // namespace lowrank
