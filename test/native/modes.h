// The modes of the executable; each goes over the one table of cases, or has tests of its own (unit, support).
#pragma once
#include <string>
#include <vector>

#include "cases.h"
#include "cpu/instruction_sets.h"
#include "ops/plugin.h"
#include "report.h"

namespace lowrank::test {

struct Options {
  std::string filter;  // in the case's name
  std::string op;      // the operation's name
  std::string isa;     // in the instruction set's name
  bool quick = false;  // a part of the sweep, for builds with sanitizers
  int threads = 0;     // of speed; 0: all
  bool worst = false;  // print how much of its bound each operation uses
  std::string plugin;  // of device: a library to open; else the emulation
  int repeats = 1;     // of device: trainings that must have the same bits
  int part = 0, parts = 1;  // the cases of this process, of those that share a mode

  // Whether a part of the checks is enough: what is named is checked whole.
  bool few() const { return quick && op.empty() && filter.empty(); }
  // Whether the n-th of a list of checks belongs to this process.
  bool mine(int64_t n) const { return n % parts == part; }
};

// The cases that the options leave.
std::vector<Case> selected(const std::vector<Case>&, const Options&);

void run_twin(const Options&, Report&);
void run_grad(const Options&, Report&);
void run_bits(const Options&, Report&);
void run_speed(const Options&, Report&);
void run_matmul(const Options&, Report&);
void run_support(const Options&, Report&);
void run_unit(const Options&, Report&);
void run_device(const Options&, Report&);
void run_device_speed(const Options&, Report&);

// Parts of twin and bits: the tables of kernels themselves.
void test_int8_goldens(const cpu::InstructionSet&, Report&);
void test_int8_kernels(const cpu::InstructionSet&, Report&);
void test_decoding(const cpu::InstructionSet&, Report&);
void test_packing(const cpu::InstructionSet&, Report&);
void test_products(const cpu::InstructionSet&, const Options&, Report&);
void test_f16_kernels(const cpu::InstructionSet&, Report&);
void test_swiglu_products(const cpu::InstructionSet&, Report&);
void test_row_kernels(const cpu::InstructionSet&, Report&);
void test_moments(const cpu::InstructionSet&, Report&);
void test_same_bits(const cpu::InstructionSet& real, const cpu::InstructionSet& emulated, Report&);

// Parts of unit.
void test_mapped_files(Report&);
void test_dtypes(Report&);
void test_quantizing(Report&);
void test_generator(Report&);
void test_thread_pool(Report&);
void test_large_pages(Report&);
void test_arena(Report&);
void test_coming_rows(Report&);
void test_repeats(Report&);
void test_memory(Backend&, Report&);
void test_step_state(Report&);
void test_rope_table(Report&);
void test_sampling(Report&);
void test_engine(Report&);
void test_ranks(Report&);
void test_device(Report&);
void test_merge_range(Report&);
void test_refused_buffers(Report&);
void test_fused(Report&);

// A form of linears on a device (cuda/switches.h) while it lives.
class InForm {
 public:
  InForm(bool bordered, bool sums_in_f32 = false);
  ~InForm();
  InForm(const InForm&) = delete;
  InForm& operator=(const InForm&) = delete;
};

// Parts of device.
void test_device_training(const DevicePlugin&, const Options&, Report&);
void test_device_moments(Backend&, Report&);
void test_device_repeats(const DevicePlugin&, const Options&, Report&);
void test_device_copies(const DevicePlugin&, const Options&, Report&);

}  // namespace lowrank::test
