// The operands of one operation: a description with initial values (Slots), from which each run gets fresh memory (Memory).
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "guarded.h"
#include "ops/arguments.h"
#include "stored.h"

namespace lowrank::test {

enum class Role { input, output, in_place };

struct Slot {
  std::string name;
  Role role = Role::input;
  DType dtype = DType::f32;
  int64_t rows = 0, cols = 0, ld = 0;
  int64_t offset = 0;           // bytes from a multiple of 64
  std::vector<float> values{};  // initial ones, row-major; none for an output, which starts as NaN
  std::vector<int32_t> ints{};  // instead of values: ids, labels, positions, offsets
  bool rounded = false;         // the twin keeps this output's dtype; others it holds in f32, so as to round them less
  StoredAs stored{};            // of a weight
  std::shared_ptr<const Stored> codes{};  // instead of values, of a weight that is not plain
  std::string alias{};          // shares the memory of this slot (the twin has memory of its own)
};

class Slots {
 public:
  Slot& input(const std::string& name, DType, int64_t rows, int64_t cols, std::vector<float> values, int64_t ld_pad = 0);
  Slot& vector(const std::string& name, std::vector<float> values);
  Slot& ints(const std::string& name, std::vector<int32_t> values);
  Slot& output(const std::string& name, DType, int64_t rows, int64_t cols, int64_t ld_pad = 0);
  Slot& in_place(const std::string& name, DType, int64_t rows, int64_t cols, std::vector<float> values, int64_t ld_pad = 0);

  const std::vector<Slot>& all() const { return slots_; }
  std::vector<Slot>& all() { return slots_; }
  const Slot* find(const std::string& name) const;

 private:
  Slot& add(Slot);
  std::vector<Slot> slots_;
};

class Memory {
 public:
  enum class Kind { tested, twin };
  Memory(const Slots&, Kind);

  // The operand of a name; without memory where the case has no such operand.
  Mat mat(const std::string& name) const;
  Weight weight(const std::string& name) const;
  float* f32(const std::string& name) const { return static_cast<float*>(mat(name).data); }
  const int32_t* ints(const std::string& name) const { return static_cast<const int32_t*>(mat(name).data); }

  void reset();                // initial values again
  std::string damage() const;  // the first overwritten guard, in words
 private:
  // Operations write there.
  struct Numbers {
    double scalar = 0.5;
    StepState state{};
    AdamWPart parts[2]{};
  };
  std::shared_ptr<void> numbers_ = test_memory(sizeof(Numbers));

 public:
  double& scalar = (new (numbers_.get()) Numbers)->scalar;  // the loss sum, which is added to, or a result that is a number
  StepState& state = static_cast<Numbers*>(numbers_.get())->state;  // of clip and AdamW
  AdamWPart (&parts)[2] = static_cast<Numbers*>(numbers_.get())->parts;  // of AdamW

 private:
  struct Entry {
    Guarded memory;
    Mat mat;
  };
  void fill(const Slot&, const Mat&) const;

  const Slots* slots_;
  std::map<std::string, Entry> entries_;
};

}  // namespace lowrank::test
