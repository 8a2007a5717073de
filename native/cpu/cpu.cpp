// Which instruction sets this machine has, which one to use, and the backend made from it.
#include "cpu/cpu.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <limits>
#include <vector>

#include "base/error.h"
#include "cpu/cpu_backend.h"

namespace lowrank {

namespace cpu {

namespace {

const InstructionSet* const kAllSets[] = {&kScalarSet, &kAvx2Set, &kAvx512Set, &kAvx512Bf16Set, &kAvx512Fp16Set, &kAmxSet};

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

unsigned leaf_7_edx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) ? d : 0;
}

// AMX tiles are state that Linux switches on by request, once per process; threads inherit it. Asked for only where AMX is
// going to be used: afterwards the system refuses alternate signal stacks that are too small for the tiles.
bool request_amx() {
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  const unsigned features = leaf_7_edx();
  if (!(features & kAmxBf16) || !(features & kAmxTile)) return false;
  if (!has_avx512() || !__builtin_cpu_supports("avx512bf16")) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
}

bool has_avx512_fp16() {
  constexpr unsigned kAvx512Fp16 = 1u << 23;
  return LOWRANK_EMULATE_F16 || (LOWRANK_COMPILED_F16 && (leaf_7_edx() & kAvx512Fp16));
}

bool usable(const InstructionSet& set) {
  __builtin_cpu_init();
  if (&set == &kScalarSet) return true;
  if (&set == &kAvx2Set) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (&set == &kAvx512Set) return has_avx512();
  if (&set == &kAvx512Bf16Set) return has_avx512() && __builtin_cpu_supports("avx512bf16");
  if (&set == &kAvx512Fp16Set) return has_avx512() && has_avx512_fp16();
  return request_amx();
}

bool has_amx_int8() {
  constexpr unsigned kAmxInt8Bit = 1u << 25;
  return leaf_7_edx() & kAmxInt8Bit;
}

// Seconds of one product of bf16 operands that stay in cache, the best of a few tries.
double bf16_product_seconds(const InstructionSet& set) {
  constexpr int64_t kRows = 96, kK = 256;
  const Kernels& k = *set.kernels;
  std::vector<float> a(size_t(kRows * kK), 1.f), panel(size_t(kK * kPanelCols), 1.f), acc(size_t(kRows * kPanelCols)), scales(size_t(kRows), 1.f);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 8; i++) {
    const auto start = std::chrono::steady_clock::now();
    if (k.gemm_bf16) {
      k.gemm_bf16(reinterpret_cast<const bf16_t*>(a.data()), kK, reinterpret_cast<const bf16_t*>(panel.data()), 0, 1, kK, kRows, false,
                  acc.data(), kPanelCols);
    } else if (k.gemm_f16) {
      k.gemm_f16(reinterpret_cast<const f16_t*>(a.data()), kK, scales.data(), reinterpret_cast<const f16_t*>(panel.data()), 0, 1, kK, kRows, false,
                 acc.data(), kPanelCols);
    } else {
      k.gemm_f32(a.data(), kK, panel.data(), kK, kRows, false, acc.data(), kPanelCols);
    }
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// On some processors bf16 dot products run at twice the rate of f32 multiply-adds, on others at half of it; half-precision multiply-adds lie
// between. The differences are large enough for the choice to be the same every time.
const InstructionSet& fastest_of_avx512() {
  static const InstructionSet* const fastest = [] {
    const InstructionSet* best = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const InstructionSet* set : {&kAvx512Set, &kAvx512Bf16Set, &kAvx512Fp16Set}) {
      const double seconds = usable(*set) ? bf16_product_seconds(*set) : least;
      if (seconds >= least) continue;
      best = set;
      least = seconds;
    }
    return best;
  }();
  return *fastest;
}

const InstructionSet* find(const std::string& name) {
  for (const InstructionSet* set : kAllSets) {
    if (name == set->name) return set;
  }
  return nullptr;
}

const InstructionSet& checked(const std::string& name, const char* where) {
  const InstructionSet* set = find(name);
  if (set && usable(*set)) return *set;
  std::string known;
  for (const auto& n : cpu_instruction_sets()) known += (known.empty() ? "" : ", ") + n;
  throw Error("E_CPU", std::string(where) + ": instruction set \"" + name + "\" " +
                           (set ? "is not available on this machine" : "is unknown") + ". Available here: " + known + ".", where);
}

}  // namespace

// A set is known by its kernels: sets are copied, and emulated ones have others.
const Int8Kernels& int8_kernels(const InstructionSet& set) {
  __builtin_cpu_init();
  const auto is = [&](const InstructionSet& other) { return set.kernels == other.kernels; };
  if (is(kAmxSet) && has_amx_int8()) return kAmxInt8;
  if ((is(kAmxSet) || is(kAvx512Fp16Set) || is(kAvx512Bf16Set) || is(kAvx512Set)) && __builtin_cpu_supports("avx512vnni")) return kAvx512VnniInt8;
  if (is(kAvx2Set) && __builtin_cpu_supports("avxvnni")) return kAvxVnniInt8;
  return *set.int8;
}

std::vector<const InstructionSet*> usable_instruction_sets() {
  std::vector<const InstructionSet*> sets;
  for (const InstructionSet* set : kAllSets) {
    if (usable(*set)) sets.push_back(set);
  }
  return sets;
}

}  // namespace cpu

std::vector<std::string> cpu_instruction_sets() {
  std::vector<std::string> names;
  for (const auto* set : cpu::usable_instruction_sets()) names.emplace_back(set->name);
  return names;
}

std::string cpu_default_instruction_set() {
  const char* wanted = std::getenv("LOWRANK_CPU");
  if (wanted && *wanted) return cpu::checked(wanted, "LOWRANK_CPU").name;
  const cpu::InstructionSet* best = cpu::usable_instruction_sets().back();
  if (best == &cpu::kAvx512Bf16Set || best == &cpu::kAvx512Fp16Set) best = &cpu::fastest_of_avx512();
  return best->name;
}

int64_t cpu_workspace_bytes(const OpLimits& limits, int threads, const std::string& instruction_set) {
  return cpu::CpuBackend::workspace_bytes(limits, threads, cpu::checked(instruction_set, "instruction set"));
}

std::unique_ptr<Backend> make_cpu_backend(int threads, const std::string& instruction_set) {
  return std::make_unique<cpu::CpuBackend>(threads, cpu::checked(instruction_set, "instruction set"));
}

}  // namespace lowrank
