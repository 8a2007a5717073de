// The native tests: operation cases against the slow twin, and unit tests.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "modes.h"

namespace {

using lowrank::test::Options;
using lowrank::test::Report;

struct Mode {
  const char *name, *what;
  void (*run)(const Options&, Report&);
  bool shared = false;  // between the processes of --jobs
};

constexpr Mode kModes[] = {
    {"unit", "conversions, generator, thread pool, arena, rotary tables, sampling", lowrank::test::run_unit},
    {"twin", "every case on every instruction set against the twin", lowrank::test::run_twin, true},
    {"grad", "the twin's backward passes against finite differences of its forward passes", lowrank::test::run_grad},
    {"bits", "the same bits for any number of threads, and real or emulated", lowrank::test::run_bits, true},
    {"support", "instruction sets: compiled, usable, chosen", lowrank::test::run_support},
    {"device", "cases and training on a device against the twin and the CPU: the emulation, or --plugin", lowrank::test::run_device, true},
    {"device-speed", "training steps of real shapes on a device", lowrank::test::run_device_speed},
    {"speed", "rates at the shapes of a 135M model", lowrank::test::run_speed},
    {"matmul", "linears and decoding alone, as JSON lines", lowrank::test::run_matmul},
};

int usage() {
  std::printf(
      "usage: lowrank_op_cases MODE... [--filter TEXT] [--op NAME] [--isa TEXT] [--plugin FILE] [--threads N] [--jobs N] [--repeats N] [--quick] [--worst] "
      "[--list]\nmodes:\n");
  for (const Mode& m : kModes) std::printf("  %-8s %s\n", m.name, m.what);
  return 2;
}

void run(const Mode& mode, const Options& options, Report& report) {
  try {
    mode.run(options, report);
  } catch (const std::exception& e) {
    report.fail(mode.name, e.what());
  }
}

// Every process takes its part of the checks and sends its counts. They end as this process does, so that leaks are looked for in each.
void run_shared(const Mode& mode, Options options, Report& report) {
  std::fflush(stdout);
  struct Part {
    pid_t process;
    int counts;
  };
  std::vector<Part> parts;
  for (options.part = 0; options.part < options.parts; options.part++) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    const pid_t process = fork();
    if (process < 0) throw std::runtime_error("fork");
    if (process == 0) {
      Report own;
      run(mode, options, own);
      const int64_t counts[2] = {own.passed(), own.failed()};
      std::exit(write(ends[1], counts, sizeof counts) == sizeof counts ? 0 : 1);
    }
    close(ends[1]);
    parts.push_back({process, ends[0]});
  }
  for (size_t i = 0; i < parts.size(); i++) {
    int64_t counts[2] = {0, 0};
    const bool counted = read(parts[i].counts, counts, sizeof counts) == sizeof counts;
    close(parts[i].counts);
    int status = 0;
    waitpid(parts[i].process, &status, 0);
    report.add(counts[0], counts[1]);
    if (!counted || status != 0) report.fail(std::string(mode.name) + ", process " + std::to_string(i + 1), "ended with status " + std::to_string(status));
  }
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
    else if (arg == "--jobs" && i + 1 < argc && std::atoi(argv[i + 1]) > 0) options.parts = std::atoi(argv[++i]);
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
    if (mode->shared && options.parts > 1) run_shared(*mode, options, report);
    else run(*mode, options, report);
    std::printf("%s: %lld passed, %lld failed in %.1f s\n", mode->name, static_cast<long long>(report.passed() - passed),
                static_cast<long long>(report.failed() - failed),
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(report.passed()),
              static_cast<long long>(report.failed()));
  return report.failed() == 0 ? 0 : 1;
}
