// Which instruction sets are compiled in, which this machine has, which one is chosen; LOWRANK_CPU and its errors.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cpu/cpu.h"
#include "error_code.h"
#include "modes.h"
#include "runners.h"

namespace lowrank::test {

void run_support(const Options&, Report& report) {
  const std::string before = std::getenv("LOWRANK_CPU") ? std::getenv("LOWRANK_CPU") : "";
  unsetenv("LOWRANK_CPU");
  const auto names = cpu_instruction_sets();
  const auto usable = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  const std::string chosen = cpu_default_instruction_set();
  for (const cpu::InstructionSet* set :
       {&cpu::kScalarSet, &cpu::kAvx2Set, &cpu::kAvx512Set, &cpu::kAvx512Bf16Set, &cpu::kAvx512Fp16Set, &cpu::kAmxSet}) {
    const std::string name = set->name;
    std::printf("%-11s compiled, %s, bf16 products by %s, of codes by %s%s\n", set->name, usable(name) ? "usable" : "not on this machine",
                set->kernels->gemm_bf16 ? "bf16 dot products" : set->kernels->gemm_f16 ? "chains of f16" : "f32 products", cpu::int8_kernels(*set).name, name == chosen ? ", chosen" : "");
    const cpu::InstructionSet copy = *set;  // as a backend holds it
    report.expect(&cpu::int8_kernels(copy) == &cpu::int8_kernels(*set), "support: products of codes of a copy of " + name);
    setenv("LOWRANK_CPU", set->name, 1);
    if (usable(name)) {
      report.expect(cpu_default_instruction_set() == name, "support: LOWRANK_CPU=" + name, "is not followed");
      report.expect(make_cpu_backend(1, name)->name() == "cpu/" + name, "support: name of the backend " + name);
    } else {
      report.expect(code_of([] { cpu_default_instruction_set(); }) == "E_CPU", "support: LOWRANK_CPU=" + name,
                    "is no error, though not usable");
      report.expect(code_of([&] { make_cpu_backend(1, name); }) == "E_CPU", "support: backend " + name,
                    "is made, though not usable");
    }
    // Errors and reports show the table's name.
    report.expect(name == set->kernels->isa, "support: name of the kernels of " + name);
  }
  setenv("LOWRANK_CPU", "sse9", 1);
  std::string message;
  try {
    cpu_default_instruction_set();
  } catch (const Error& e) {
    message = e.what();
    report.expect(e.code == "E_CPU" && e.where == "LOWRANK_CPU", "support: LOWRANK_CPU=sse9", "has another code or place");
  }
  report.expect(message.find("sse9") != std::string::npos && message.find("scalar") != std::string::npos,
                "support: LOWRANK_CPU=sse9", "the message names neither it nor the usable sets: " + message);
  setenv("LOWRANK_CPU", "", 1);
  report.expect(cpu_default_instruction_set() == chosen, "support: an empty LOWRANK_CPU");
  report.expect(usable("scalar"), "support: scalar is always usable");
  report.expect(emulated_sets("").size() == 5, "support: every other set is emulated in tests");
  if (before.empty()) unsetenv("LOWRANK_CPU");
  else setenv("LOWRANK_CPU", before.c_str(), 1);
}

}  // namespace lowrank::test
