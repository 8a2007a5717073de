// The instruction sets this program has kernels for.
#pragma once
#include <string>
#include <vector>

#include "cpu/int8_kernels.h"
#include "cpu/kernels.h"
#include "cpu/row_kernels.h"

namespace lowrank::cpu {

// The kernels of one instruction set, real or (in tests) emulated.
struct InstructionSet {
  const char* name;
  const Kernels* kernels;
  const RowKernels* rows;
  const Int8Kernels* int8;  // those that every machine with the set has
};

// Every set that was compiled in, the slowest first, whether this machine has it or not.
extern const InstructionSet kScalarSet, kAvx2Set, kAvx512Set, kAvx512Bf16Set, kAvx512Fp16Set, kAmxSet;

// The products of codes that go with a set: the fastest that this machine has, or those of an emulated set.
const Int8Kernels& int8_kernels(const InstructionSet&);

// The sets that this machine has. Asks the system for permission to use AMX tiles.
std::vector<const InstructionSet*> usable_instruction_sets();

namespace emulated {
// The same sets in plain C++: linked into tests only.
extern const InstructionSet kAvx2Set, kAvx512Set, kAvx512Bf16Set, kAvx512Fp16Set, kAmxSet;
}  // namespace emulated

}  // namespace lowrank::cpu
