// The native tests: operation cases against the slow twin, and unit tests.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "modes.h"

namespace {

using lowrank::test::Options;
using lowrank::test::Report;

struct Mode {
  const char *name, *what;
  void (*run)(const Options&, Report&);
};

constexpr Mode kModes[] = {
    {"unit", "conversions, generator, thread pool, arena, rotary tables, sampling", lowrank::test::run_unit},
    {"twin", "every case on every instruction set against the twin", lowrank::test::run_twin},
    {"grad", "the twin's backward passes against finite differences of its forward passes", lowrank::test::run_grad},
    {"bits", "the same bits for any number of threads, and real or emulated", lowrank::test::run_bits},
    {"support", "instruction sets: compiled, usable, chosen", lowrank::test::run_support},
    {"device", "cases and training on a device against the twin and the CPU: the emulation, or --plugin", lowrank::test::run_device},
    {"device-speed", "training steps of real shapes on a device", lowrank::test::run_device_speed},
    {"speed", "rates at the shapes of a 135M model", lowrank::test::run_speed},
    {"matmul", "linears and decoding alone, as JSON lines", lowrank::test::run_matmul},
};

int usage() {
  std::printf(
      "usage: lowrank_op_cases MODE... [--filter TEXT] [--op NAME] [--isa TEXT] [--plugin FILE] [--threads N] [--repeats N] [--quick] [--worst] "
      "[--list]\nmodes:\n");
  for (const Mode& m : kModes) std::printf("  %-8s %s\n", m.name, m.what);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::vector<const Mode*> modes;
  bool list = false;
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    const Mode* mode = nullptr;
    for (const Mode& m : kModes) {
      if (arg == m.name) mode = &m;
    }
    std::string* const value = arg == "--filter" ? &options.filter
                               : arg == "--op"   ? &options.op
                               : arg == "--isa"  ? &options.isa
                               : arg == "--plugin" ? &options.plugin
                                                 : nullptr;
    if (mode) modes.push_back(mode);
    else if (value && i + 1 < argc) *value = argv[++i];
    else if (arg == "--threads" && i + 1 < argc && std::atoi(argv[i + 1]) > 0) options.threads = std::atoi(argv[++i]);
    else if (arg == "--repeats" && i + 1 < argc && std::atoi(argv[i + 1]) > 0) options.repeats = std::atoi(argv[++i]);
    else if (arg == "--quick") options.quick = true;
    else if (arg == "--worst") options.worst = true;
    else if (arg == "--list") list = true;
    else return usage();
  }
  if (list) {
    for (const auto& c : lowrank::test::selected(lowrank::test::all_cases(), options)) std::printf("%s\n", c.name().c_str());
    return 0;
  }
  if (modes.empty()) return usage();

  Report report;
  for (const Mode* mode : modes) {
    const auto start = std::chrono::steady_clock::now();
    const int64_t passed = report.passed(), failed = report.failed();
    try {
      mode->run(options, report);
    } catch (const std::exception& e) {
      report.fail(mode->name, e.what());
    }
    std::printf("%s: %lld passed, %lld failed in %.1f s\n", mode->name, static_cast<long long>(report.passed() - passed),
                static_cast<long long>(report.failed() - failed),
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(report.passed()),
              static_cast<long long>(report.failed()));
  return report.failed() == 0 ? 0 : 1;
}
